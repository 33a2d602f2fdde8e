/** Resources of the fake agent: changes in memory, with the refusals and outcomes of the real one. */
import { isDeepStrictEqual } from "node:util";
import type { AnyResource } from "../core/model/resources.ts";
import { titleOf } from "../core/model/together.ts";
import { validateResource } from "../core/model/validate.ts";
import type { Problem } from "../core/problem.ts";
import { ApiError } from "./error.ts";
import type { ChangeReport, ChangeRequest, ChangeResult, ResourceFrame } from "./schema/resource.ts";

export class FakeResources {
  readonly stored = new Map<string, AnyResource>();
  /** The last change, where it waits to be confirmed. */
  pending: readonly ChangeResult[] | undefined;
  #revision = 1;

  get revision(): number {
    return this.#revision;
  }

  change(request: ChangeRequest): ChangeReport {
    const wanted = request.resources.map((frame) =>
      request.mode === "delete" ? (frame as unknown as AnyResource) : valid(frame),
    );
    const results = wanted.map((resource) => this.#plan(resource, request));
    const changed = results.some(({ outcome }) => outcome !== "unchanged" && outcome !== "absent");
    if (!request.dryRun && changed) {
      this.#revision++;
      for (const [index, { outcome }] of results.entries()) this.#store(wanted[index] as AnyResource, outcome);
    }
    if (request.confirmWithin !== undefined) this.pending = results;
    return {
      revision: this.#revision,
      results,
      ...(request.dryRun && { verdicts: [] }),
      ...(request.confirmWithin !== undefined && { confirmBefore: "2026-11-23T10:01:00.000Z" }),
    };
  }

  confirm(): { confirmed: number } {
    if (this.pending === undefined) throw new ApiError("not-found", "No change waits for a confirmation");
    const confirmed = this.pending.length;
    this.pending = undefined;
    return { confirmed };
  }

  #plan(resource: AnyResource, { mode, ignoreMissing, ignoreExisting }: ChangeRequest): ChangeResult {
    const title = titleOf(resource);
    const before = this.stored.get(title);
    const { kind, metadata } = resource;
    const named = {
      kind,
      name: metadata.name,
      ...(metadata.namespace !== undefined && { namespace: metadata.namespace }),
    };
    const sides = {
      ...(before !== undefined && { before: frame(before) }),
      ...(mode !== "delete" && { after: frame(resource) }),
    };
    if (before === undefined) {
      if (mode === "delete" && ignoreMissing) return { ...named, outcome: "absent" };
      if (mode === "delete" || mode === "replace")
        throw new ApiError("not-found", `Cannot ${mode} the ${title}: it does not exist`);
      return { ...named, ...sides, outcome: "created" };
    }
    if (mode === "create" && ignoreExisting) return { ...named, outcome: "unchanged" };
    if (mode === "create") throw new ApiError("exists", `Cannot create the ${title}: it exists`);
    if (mode === "delete") return { ...named, ...sides, outcome: "deleted" };
    return { ...named, ...sides, outcome: isDeepStrictEqual(before, resource) ? "unchanged" : "updated" };
  }

  #store(resource: AnyResource, outcome: ChangeResult["outcome"]): void {
    const title = titleOf(resource);
    if (outcome === "deleted") this.stored.delete(title);
    else if (outcome !== "absent") this.stored.set(title, resource);
  }
}

const frame = (resource: AnyResource): ResourceFrame => ({ ...resource, metadata: { ...resource.metadata } });

function valid(given: ResourceFrame): AnyResource {
  const result = validateResource(given);
  if (result.ok) return result.value;
  const title = `${given.kind} ${given.metadata.name}`;
  const problems: Problem[] = result.problems.map(({ path, message }) => ({ path: `${title}: ${path}`, message }));
  throw new ApiError("invalid", "Cannot change the resources", { problems });
}
