import { firewallContract } from "../../../tests/nftables/contract.ts";
import { FakeNftables } from "./fake.ts";

firewallContract("fake", () => {
  const firewall = new FakeNftables();
  return { firewall, flush: () => firewall.disturb(new Map()), [Symbol.dispose]: () => firewall[Symbol.dispose]() };
});
