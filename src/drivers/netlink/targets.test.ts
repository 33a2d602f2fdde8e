import { targetsContract } from "../../../tests/netlink/targets-contract.ts";
import { FakeRtnetlink } from "./fake-rtnetlink.ts";

targetsContract("fake", () => {
  const rtnetlink = new FakeRtnetlink();
  return {
    rtnetlink,
    moveAway: (link) => rtnetlink.moveAway(link),
    addBridge: (name) => rtnetlink.addBridge(name),
    [Symbol.dispose]: () => undefined,
  };
});
