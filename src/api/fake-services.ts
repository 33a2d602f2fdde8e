/** Services of the fake agent: one, with a container here and one elsewhere. */
import type { ServicesAgentView } from "./agent.ts";
import { ApiError } from "./error.ts";
import type { DrainReport, DrainRequest, ServiceView } from "./schema/service.ts";

export class FakeServices implements ServicesAgentView {
  #isDraining = false;

  async list(): Promise<readonly ServiceView[]> {
    return [
      {
        name: "api",
        from: "Service",
        addresses: ["203.0.113.10"],
        selector: 'app == "api"',
        check: "http:8080/healthz",
        drain: 1,
        announced: this.#isDraining ? [] : ["203.0.113.10"],
        members: [
          { container: "web", network: "apps", host: "h1", state: this.#isDraining ? "draining" : "up" },
          { container: "web2", network: "apps", host: "h2", state: "elsewhere" },
        ],
        problems: [],
      },
    ];
  }

  async drain({ container, back = false }: DrainRequest): Promise<DrainReport> {
    if (container !== "web")
      throw new ApiError("not-found", `Cannot find the container "${container}" on this host's Manx networks`);
    const changed = this.#isDraining === back;
    this.#isDraining = !back;
    return { container, addresses: ["203.0.113.10"], changed };
  }
}
