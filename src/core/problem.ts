/** One thing that is wrong with what a user gave us. All problems of an input are returned together, never only the first. */
export interface Problem {
  /** Where in the value: `spec.ingress[0].destination.ports[1]`; empty for the whole. */
  readonly path: string;
  /** What is wrong, and what is allowed: `70000 is not a port (1-65535)`. */
  readonly message: string;
}

export type Result<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly problems: readonly Problem[] };

export function formatProblem({ path, message }: Problem): string {
  return path === "" ? message : `${path}: ${message}`;
}

export function formatProblems(problems: readonly Problem[]): string {
  return problems.map(formatProblem).join("\n");
}
