/** What `manx doctor --fix` may do by itself: nothing that harms anybody's traffic. */
import type { FixAction } from "../api/schema/doctor.ts";
import { plural } from "../core/plural.ts";
import type { Agent } from "./agent.ts";

/** @returns what was done, in a sentence */
export async function repair(agent: Agent, action: FixAction, signal?: AbortSignal): Promise<string> {
  switch (action.kind) {
    case "resync":
    case "sysctl": {
      agent.resync();
      await agent.settle();
      return "Read back what the kernel has, and put right what differed";
    }
    case "release-orphans": {
      const { released } = (await agent.reconcile(signal ?? agent.signal)).addresses;
      return `Compared addresses with Docker's: ${released.length} given back`;
    }
    case "accept-forward": {
      const written = await agent.forward.ensure(signal);
      return `Placed ${plural(written, "rule")} for Manx traffic to pass the other firewall`;
    }
    case "reopen-plugin-socket": {
      await agent.reopenPluginSocket();
      return "Opened the plugin socket again";
    }
  }
}
