/** Who stands for everybody that Manx knows nothing of. */

export const INTERNET_NAME = "internet";
/** Addresses for documentation (RFC 5737, RFC 3849): nobody's, and therefore anybody's on the internet. */
export const INTERNET: readonly string[] = ["192.0.2.1", "2001:db8::1"];
/** The interface that they come in by where the host has no default route. */
export const OUTSIDE = "outside";
