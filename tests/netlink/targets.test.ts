import { KernelRtnetlink } from "../../src/drivers/netlink/kernel-rtnetlink.ts";
import { Namespace } from "./namespace.ts";
import { targetsContract } from "./targets-contract.ts";

targetsContract("kernel", () => {
  const host = new Namespace();
  const container = new Namespace();
  const rtnetlink = new KernelRtnetlink(host.path);
  return {
    rtnetlink,
    moveAway: (link) => void host.ip(`link set ${link} netns ${container.name} up`),
    addBridge: (name) => void host.ip(`link add ${name} type bridge`),
    [Symbol.dispose]: () => {
      rtnetlink.close();
      host[Symbol.dispose]();
      container[Symbol.dispose]();
    },
  };
});
