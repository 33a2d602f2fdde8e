/** Where the agent listens. */
export const SOCKET_PATH = "/run/manx/manx.sock";
