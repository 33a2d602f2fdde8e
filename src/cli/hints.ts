/** What people type who come from other tools, and what does it here. */

const COMMANDS: Readonly<Record<string, string>> = {
  connect: "docker network connect NETWORK CONTAINER",
  describe: "manx get KIND NAME -o yaml; who may reach a container: manx ls NAME",
  disconnect: "docker network disconnect NETWORK CONTAINER",
  inspect: "manx network inspect NETWORK, manx get wep NAME -o yaml",
  install: "./quickstart, in Manx's folder",
  logs: "manx flows, manx drops; of Manx itself: manx status",
  policies: "manx get gnp,np",
  policy: "manx get gnp,np; in one line: manx allow, deny, isolate, egress",
  ps: "manx ls",
  rollback: "manx apply --confirm undoes a change by itself; what is in force: manx get all -o yaml",
  stats: "manx top",
  undo: "a preset: the same words with --remove; a file: manx delete -f FILE; next time: manx apply --confirm",
};

const OPTIONS: Readonly<Record<string, string>> = {
  "--json": "-o json",
  "--wide": "-o wide",
  "--yaml": "-o yaml",
};

const KINDS: Readonly<Record<string, string>> = {
  containers: "manx get wep, manx ls",
  namespaces: "a namespace is a compose project, and needs no resource: manx get np -A",
  pods: "manx get wep, manx ls",
  services: "manx service ls",
};

export const commandHint = (typed: string): string | undefined => hint(COMMANDS, typed);
export const optionHint = (typed: string): string | undefined => hint(OPTIONS, typed);
export const kindHint = (typed: string): string | undefined => hint(KINDS, typed.toLowerCase());

function hint(table: Readonly<Record<string, string>>, typed: string): string | undefined {
  return Object.hasOwn(table, typed) ? table[typed] : undefined;
}
