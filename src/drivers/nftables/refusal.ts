/** Why the kernel refused a transaction, in words that name the thing that is wrong. */
import type { NftSet, Step } from "../../core/rules/ir.ts";
import { DriverError, type DriverErrorCode } from "../error.ts";
import type { SystemError } from "../syscall/errno.ts";
import type { BatchFailure } from "../syscall/netlink-socket.ts";
import { describe } from "./change.ts";
import { findOverlap } from "./overlap.ts";
import { type Operation, setOf } from "./plan.ts";

/** include/linux/errno.h of the kernel: Node has no name for it. */
const ERESTART = 85;

/** The ruleset changed between our reading and our writing. */
export function isOutdated(failures: readonly BatchFailure[]): boolean {
  return failures.some(({ index, error }) => index === 0 && error.number === ERESTART);
}

/** `owners`: the operation that each message of the batch belongs to. The first failure counts; others follow from it. */
export function refusal(failures: readonly BatchFailure[], owners: readonly (Operation | undefined)[]): DriverError {
  const [first] = failures.toSorted((a, b) => a.index - b.index);
  if (first === undefined) throw new Error("nothing was refused");
  const operation = owners[first.index];
  const { error } = first;
  if (operation === undefined) return new DriverError(codeOf(error), `Cannot change nftables: ${whole(error)}`, error);
  return new DriverError(codeOf(error), `Cannot ${describe(operation)}: ${why(operation, error)}`, error);
}

const CODES: Readonly<Record<string, DriverErrorCode>> = {
  EPERM: "denied",
  EACCES: "denied",
  ENOMEM: "unavailable",
  ENOBUFS: "unavailable",
  ENFILE: "unavailable",
  EMSGSIZE: "unavailable",
  EAGAIN: "busy",
  EINTR: "busy",
};

/** The driver read the state itself and wrote a whole one: what the kernel still refuses is wrong in what was desired. */
function codeOf(error: SystemError): DriverErrorCode {
  return error.number === ERESTART ? "busy" : (CODES[error.errno] ?? "invalid");
}

function whole(error: SystemError): string {
  if (error.errno === "EPERM") return "only root (CAP_NET_ADMIN) may do that";
  if (error.number === ERESTART) return "somebody else keeps changing it; it will be tried again";
  if (error.errno === "ELOOP" || error.errno === "EMLINK") return LOOP;
  return error.message;
}

const LOOP = "chains jump in a circle, or more than 16 deep";

function why(operation: Operation, error: SystemError): string {
  switch (error.errno) {
    case "EEXIST":
    case "ENOTEMPTY":
      if (operation.kind === "add-elements") return overlap(operation.set) ?? error.message;
      return error.message;
    case "ENOENT":
      if (operation.kind === "add-rule") return `${missing(operation.rule.steps)} (${error.message})`;
      if (operation.kind === "add-elements") return `${missingChain(operation.set)} (${error.message})`;
      return error.message;
    case "ELOOP":
    case "EMLINK":
      return LOOP;
    case "EBUSY":
      return `something that stays still uses it (${error.message})`;
    case "EPERM":
      return whole(error);
    default:
      return error.message;
  }
}

function overlap(set: NftSet): string | undefined {
  const found = findOverlap(set);
  return found === undefined ? undefined : `element "${found[1]}" overlaps "${found[0]}"`;
}

function missing(steps: readonly Step[]): string {
  const names = steps.flatMap((step) => {
    if (step.kind === "verdict" && "chain" in step.verdict) return [`chain "${step.verdict.chain}"`];
    const set = setOf(step);
    return set === undefined ? [] : [`set "${set}"`];
  });
  return names.length === 0 ? "the kernel lacks what it uses" : `one of these is missing: ${names.join(", ")}`;
}

function missingChain(set: NftSet): string {
  const chains = new Set<string>();
  for (const data of set.elements.values())
    if (data !== null && typeof data !== "string" && "chain" in data) chains.add(`"${data.chain}"`);
  return `one of these chains is missing: ${[...chains].slice(0, 10).join(", ")}`;
}
