import { Nftables } from "../../src/drivers/nftables/nftables.ts";
import { firewallContract } from "./contract.ts";
import { Namespace } from "./namespace.ts";

firewallContract("kernel", () => {
  const namespace = new Namespace();
  const firewall = Nftables.open({ netns: namespace.path });
  return {
    firewall,
    flush: () => void namespace.run("nft", "flush", "ruleset"),
    [Symbol.dispose]() {
      firewall[Symbol.dispose]();
      namespace[Symbol.dispose]();
    },
  };
});
