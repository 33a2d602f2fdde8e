/** What the exit status of every command says. Scripts rely on these: a code never gets another meaning. */
export const EXIT = {
  ok: 0,
  no: 1,
  usage: 2,
  unreachable: 3,
  notFound: 4,
  refused: 5,
  denied: 6,
  failed: 7,
  interrupted: 130,
} as const;
export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

export const EXIT_CODES: readonly (readonly [ExitCode, string])[] = [
  [EXIT.ok, "done; or: yes, allowed, well, nothing differs"],
  [EXIT.no, "done, and the answer is no: denied, a failed check or test, something differs"],
  [EXIT.usage, "the command line or the input is wrong; nothing was changed (manx why: it cannot be told)"],
  [EXIT.unreachable, "the agent cannot be reached: systemctl start manx; without systemd ./quickstart"],
  [EXIT.notFound, "there is no such container, network, pool or resource"],
  [EXIT.refused, "refused, nothing was changed: it exists, is in use, was changed meanwhile, or would do harm"],
  [EXIT.denied, "this needs root"],
  [EXIT.failed, "something behind the agent failed: the engine, the store or the kernel; the message says what"],
  [EXIT.interrupted, "interrupted with Ctrl-C"],
];
