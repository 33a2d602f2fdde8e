import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { Docker, id, PluginHost } from "../../../tests/plugin/plugin-fixture.ts";
import { insideWork } from "./inside.ts";
import { macOf } from "./names.ts";

describe("the plugin", () => {
  let plugin: PluginHost;
  let docker: Docker;

  /** Hooks at the top of a file would be those of every file: all tests run in one process. */
  function fresh(): void {
    beforeEach(async () => {
      plugin = await PluginHost.start();
      docker = new Docker(plugin);
    });
    afterEach(() => plugin[Symbol.asyncDispose]());
  }

  const inUse = (): string[] =>
    plugin.host.addresses
      .inUse()
      .map(({ address }) => address)
      .sort();

  describe("handshake", () => {
    fresh();
    it("names both drivers, local scope, no gateways to allocate", async () => {
      assert.deepEqual(await plugin.ok("Plugin.Activate"), { Implements: ["NetworkDriver", "IpamDriver"] });
      const capabilities = await plugin.ok("NetworkDriver.GetCapabilities");
      assert.equal(capabilities["Scope"], "local");
      assert.deepEqual(await plugin.ok("NetworkDriver.GwAllocCheck", {}), { SkipIPv4: true, SkipIPv6: true });
      assert.deepEqual(await plugin.ok("IpamDriver.GetCapabilities"), {
        RequiresMACAddress: false,
        RequiresRequestReplay: false,
      });
      assert.deepEqual(await plugin.ok("IpamDriver.GetDefaultAddressSpaces"), {
        LocalDefaultAddressSpace: "manx-local",
        GlobalDefaultAddressSpace: "manx-global",
      });
    });

    for (const name of ["ProgramExternalConnectivity", "RevokeExternalConnectivity", "DiscoverNew", "DiscoverDelete"])
      it(`answers ${name}, known endpoint or not`, async () =>
        assert.deepEqual(await plugin.ok(`NetworkDriver.${name}`, { NetworkID: id(1), EndpointID: id(2) }), {}));

    it("answers EndpointOperInfo always: an error would fail the start", async () =>
      assert.deepEqual(await plugin.ok("NetworkDriver.EndpointOperInfo", "{}"), { Value: {} }));

    it("says what swarm services cannot have", async () => {
      assert.match(await plugin.refused("NetworkDriver.AllocateNetwork", {}), /swarm/);
      assert.deepEqual(await plugin.ok("NetworkDriver.FreeNetwork", {}), {});
    });
  });

  describe("a container's life", () => {
    fresh();
    it("gives an address, a gateway of its own, and forgets nothing on the way out", async () => {
      const net = await docker.createNetwork(1, "apps", { ipv6: true });
      const web = docker.createContainer("web", net, { role: "web", "com.docker.compose.project": "shop" });
      const started = await docker.start(web, net);
      const [v4 = "", v6 = ""] = started.addresses.map(({ Address }) => Address);
      assert.match(v4, /^10\.65\.\d+\.\d+\/32$/);
      assert.match(v6, /^fd65::.*\/128$/);
      const { endpoint } = started;
      assert.deepEqual(started.join, {
        InterfaceName: { SrcName: `mxp${endpoint.slice(0, 11)}`, DstPrefix: "eth" },
        Gateway: "169.254.1.1",
        GatewayIPv6: "fe80::1",
        StaticRoutes: [
          { Destination: "169.254.1.1/32", RouteType: 1 },
          { Destination: "fe80::1/128", RouteType: 1 },
        ],
        DisableGatewayService: false,
      });
      const record = plugin.host.state.endpoints.get(endpoint);
      assert.equal(record?.container?.name, "web");
      assert.equal(record.container.labels["role"], "web");
      assert.equal(record.container.composeProject, "shop");
      assert.equal(record.joined, true);
      assert.deepEqual(record.addresses, [v4.replace("/32", ""), v6.replace("/128", "")]);
      assert.equal(record.mac, macOf(v4.replace("/32", "")));
      assert.match(record.mac, /^02:42:0a:41:/);
      assert.equal(plugin.host.state.networks.get(net)?.name, "apps");
      await docker.stop(web, net, started);
      assert.equal(plugin.host.state.endpoints.size, 0);
      assert.deepEqual(inUse(), []);
      await docker.removeNetwork(net);
      assert.equal(plugin.host.state.networks.size, 0);
    });

    it("answers Join only when all of it is in force", async () => {
      const net = await docker.createNetwork(1, "apps");
      let seen = false;
      plugin.settle = () => {
        const [record] = plugin.host.state.endpoints.values();
        seen = record?.joined === true && record.container?.name === "web" && record.gatewayIndex === 1;
        return Promise.resolve();
      };
      await docker.start(docker.createContainer("web", net), net);
      assert.ok(seen);
    });

    /** An endpoint that is created and not joined; the first with an address asks for it. */
    const created = async (net: string, number: number, Interface: { Address: string; MacAddress?: string }) => {
      const PoolID = docker.pools.get(net)?.[0]?.PoolID;
      await plugin.call("IpamDriver.RequestAddress", { PoolID, Address: Interface.Address.split("/")[0] });
      const both = { NetworkID: net, EndpointID: id(number) };
      const answer = await plugin.ok("NetworkDriver.CreateEndpoint", { ...both, Options: {}, Interface });
      return { both, answer };
    };

    it("is not joined after a Join that failed: Docker will not call Leave", async () => {
      const net = await docker.createNetwork(1, "apps", { options: { publish: "host" } });
      const { both } = await created(net, 9, { Address: "10.65.0.9/32" });
      const Options = { "com.docker.network.portmap": [{ Proto: 6, Port: 80, HostPort: 8080 }] };
      plugin.settle = () => Promise.reject(new Error("EPERM"));
      await plugin.refused("NetworkDriver.Join", { ...both, SandboxKey: "/netns/1", Options });
      const record = plugin.host.state.endpoints.get(id(9));
      assert.deepEqual([record?.joined, record?.gatewayIndex, record?.published], [false, undefined, []]);
      plugin.settle = () => Promise.resolve();
      await plugin.ok("NetworkDriver.Join", { ...both, SandboxKey: "/netns/1", Options });
      await plugin.ok("NetworkDriver.Leave", both);
      assert.deepEqual(plugin.host.state.endpoints.get(id(9))?.published, []);
    });

    it("keeps a next hop from the interface that has it, though Docker repeats itself", async () => {
      const net = await docker.createNetwork(1, "apps");
      const { both } = await created(net, 9, { Address: "10.65.0.9/32" });
      const other = await created(net, 10, { Address: "10.65.0.10/32" });
      const join = { SandboxKey: "/netns/1", Options: {} };
      const first = await plugin.ok("NetworkDriver.Join", { ...both, ...join });
      assert.equal((await plugin.ok("NetworkDriver.Join", { ...other.both, ...join }))["Gateway"], "169.254.1.2");
      assert.deepEqual(await plugin.ok("NetworkDriver.Join", { ...both, ...join }), first);
    });

    it("is not left before its Join is through", async () => {
      const net = await docker.createNetwork(1, "apps");
      const { both } = await created(net, 9, { Address: "10.65.0.9/32" });
      let finish = (): void => {};
      const waiting = new Promise<void>((resolve) => {
        plugin.settle = () => new Promise<void>((done) => (finish = done)).finally(resolve);
      });
      const order: string[] = [];
      const joined = plugin
        .call("NetworkDriver.Join", { ...both, SandboxKey: "/netns/1" })
        .then(() => order.push("join"));
      while (plugin.host.state.endpoints.get(id(9))?.joined !== true) await sleep(1);
      const left = plugin.call("NetworkDriver.Leave", both).then(() => order.push("leave"));
      await sleep(30);
      finish();
      await Promise.all([waiting, joined, left]);
      assert.deepEqual(order, ["join", "leave"]);
      assert.equal(plugin.host.state.endpoints.get(id(9))?.joined, false);
    });

    it("has an address that no other endpoint has, whatever Docker says", async () => {
      const net = await docker.createNetwork(1, "apps");
      await created(net, 9, { Address: "10.65.0.9/32" });
      await created(net, 9, { Address: "10.65.0.9/32" });
      const message = { NetworkID: net, EndpointID: id(10), Options: {}, Interface: { Address: "10.65.0.9/32" } };
      assert.match(await plugin.refused("NetworkDriver.CreateEndpoint", message), /10\.65\.0\.9 is the address of/);
    });

    it("has no address that Manx did not give out", async () => {
      const net = await docker.createNetwork(1, "apps");
      for (const Address of ["8.8.8.8/32", "169.254.1.1/32", "127.0.0.1/32", "10.65.0.9/32"]) {
        const message = { NetworkID: net, EndpointID: id(10), Options: {}, Interface: { Address } };
        assert.match(await plugin.refused("NetworkDriver.CreateEndpoint", message), /Manx did not give out/);
      }
      assert.equal(plugin.host.state.endpoints.size, 0);
    });

    it("tells Docker the MAC address only where Docker did not choose it", async () => {
      const net = await docker.createNetwork(1, "apps");
      const own = await created(net, 9, { Address: "10.65.0.9/32" });
      assert.deepEqual(own.answer, { Interface: { MacAddress: "02:42:0a:41:00:09" } });
      const given = await created(net, 10, { Address: "10.65.0.10/32", MacAddress: "02:00:00:00:00:01" });
      assert.deepEqual(given.answer, { Interface: {} });
    });

    it("is who the engine says now, though an event was late", async () => {
      const net = await docker.createNetwork(1, "apps");
      const old = docker.createContainer("old", net, { role: "old" });
      plugin.context.index.take({ kind: "container", action: "create", id: old, name: "web" });
      const { endpoint } = await docker.start(docker.createContainer("web", net, { role: "web" }), net);
      assert.equal(plugin.host.state.endpoints.get(endpoint)?.container?.labels["role"], "web");
    });

    it("leaves nothing of a start whose firewall could not be made", async () => {
      const net = await docker.createNetwork(1, "apps");
      plugin.settle = () => Promise.reject(new Error("EPERM"));
      await assert.rejects(docker.start(docker.createContainer("web", net), net), /unforeseen/);
      assert.equal(plugin.host.state.endpoints.size, 0);
      assert.deepEqual(inUse(), []);
    });

    it("gives each interface of one container a next hop of its own, the smallest free", async () => {
      const nets = [];
      for (const n of [1, 2, 3]) nets.push(await docker.createNetwork(n, `net${n}`));
      const [a, b, c] = nets as [string, string, string];
      const web = docker.createContainer("web", a);
      const gateway = async (net: string, sandbox: string) => {
        const started = await docker.start(web, net, { sandbox });
        return [started, started.join["Gateway"]] as const;
      };
      await gateway(a, "/netns/1");
      const [second, hop2] = await gateway(b, "/netns/1");
      const [, hop3] = await gateway(c, "/netns/1");
      assert.deepEqual([hop2, hop3], ["169.254.1.2", "169.254.1.3"]);
      await docker.stop(web, b, second);
      assert.equal((await gateway(b, "/netns/1"))[1], "169.254.1.2");
      assert.equal((await gateway(b, "/netns/2"))[1], "169.254.1.1");
    });

    it("honours --ip and --mac-address, and does not overrule either", async () => {
      const net = await docker.createNetwork(1, "apps", { subnet: "10.65.7.0/24" });
      const web = docker.createContainer("web", net);
      const { addresses, endpoint } = await docker.start(web, net, { ip: "10.65.7.9", mac: "02:00:00:AA:bb:01" });
      assert.equal(addresses[0]?.Address, "10.65.7.9/32");
      assert.equal(plugin.host.state.endpoints.get(endpoint)?.mac, "02:00:00:aa:bb:01");
      const other = docker.createContainer("other", net);
      await assert.rejects(docker.start(other, net, { ip: "10.65.7.9" }), /"web"/);
      await assert.rejects(docker.start(other, net, { mac: "01:00:5e:00:00:01" }), /MAC address/);
    });

    it("takes more addresses by --driver-opt, and gives them back", async () => {
      const net = await docker.createNetwork(1, "apps", { ipv6: true });
      const web = docker.createContainer("web", net);
      const options = { addresses: "10.65.0.9+fd65::9" };
      const started = await docker.start(web, net, { options });
      const [v4 = "", v6 = ""] = started.addresses.map(({ Address }) => Address.replace(/\/.*/, ""));
      const all = plugin.host.state.endpoints.get(started.endpoint)?.addresses;
      assert.deepEqual(all, [v4, "10.65.0.9", v6, "fd65::9"]);
      const other = docker.createContainer("other", net);
      await assert.rejects(
        docker.start(other, net, { options: { addresses: "10.65.0.10,10.65.0.9" } }),
        /10\.65\.0\.9/,
      );
      assert.ok(!inUse().includes("10.65.0.10"), "all or none");
      await docker.stop(web, net, started);
      assert.deepEqual(inUse(), []);
    });

    const refusedOptions: [string, Record<string, unknown>, RegExp][] = [
      ["an unknown --driver-opt", { colour: "red" }, /no --driver-opt "colour"\. Known is: addresses/],
      ["a driver-opt of Docker's that nobody honours", { "com.docker.network.endpoint.ifname": "lan0" }, /ifname/],
      [
        "a MAC address as a driver-opt",
        { "com.docker.network.endpoint.macaddress": "02:42:ac:11:00:98" },
        /--mac-address/,
      ],
      ["name servers as a driver-opt", { "com.docker.network.endpoint.dnsservers": "1.1.1.1" }, /--dns/],
      [
        "settings that this Docker ignores",
        { "com.docker.network.endpoint.sysctls": "net.ipv4.conf.IFNAME.log_martians=1" },
        /Docker 20\.10\.24 ignores .*--sysctl/,
      ],
      ["__proto__ as a driver-opt", JSON.parse('{"__proto__": "x"}') as Record<string, unknown>, /__proto__/],
      ["addresses that are none", { addresses: "10.65.0.9,$(reboot)" }, /not an IP address/],
      ["an address outside of the pool", { addresses: "192.168.0.1" }, /192\.168\.0\.1/],
      ["a family that the network does not have", { addresses: "fd65::9" }, /no IPv6/],
    ];
    for (const [what, options, why] of refusedOptions)
      it(`refuses ${what}`, async () => {
        const net = await docker.createNetwork(1, "apps");
        await assert.rejects(docker.start(docker.createContainer("web", net), net, { options }), why);
        assert.deepEqual(inUse(), []);
      });

    it("is an IPv6-only network where the engine insists on IPv4", async () => {
      const net = await docker.createNetwork(1, "six", { ipv6: true, ipamOptions: { ipv4: "off" } });
      const { addresses, join, endpoint } = await docker.start(docker.createContainer("web", net), net);
      assert.equal(addresses[0]?.Address, "192.0.0.8/32");
      assert.deepEqual(plugin.host.state.endpoints.get(endpoint)?.addresses, [
        addresses[1]?.Address.replace("/128", ""),
      ]);
      assert.equal(join["Gateway"], undefined);
      assert.equal(join["DisableGatewayService"], true);
      assert.deepEqual(join["StaticRoutes"], [{ Destination: "fe80::1/128", RouteType: 1 }]);
      const record = plugin.host.state.endpoints.get(endpoint);
      assert.deepEqual(record && insideWork(plugin.context, record), {
        addresses: [],
        defaultRoute: { gateway: "fe80::1", metric: 4097 },
      });
      assert.deepEqual(plugin.host.state.networks.get(net)?.spec.families, [6]);
      await assert.rejects(
        docker.start(docker.createContainer("db", net), net, { ip: "10.65.0.9" }).then(() => {
          throw new Error("was not refused");
        }),
        /refused/,
      );
    });

    it("is an IPv6-only network on an engine that can say so", async () => {
      const net = await docker.createNetwork(1, "six", { ipv6: true, ipv4: false });
      const { join } = await docker.start(docker.createContainer("web", net), net);
      assert.equal(join["Gateway"], undefined);
      assert.equal(join["GatewayIPv6"], "fe80::1");
    });

    it("goes on without labels where Docker does not tell whose endpoint it is", async () => {
      const net = await docker.createNetwork(1, "apps");
      const web = docker.createContainer("web", net);
      plugin.engine.failure = { status: 500, message: "no" };
      const { endpoint } = await docker.start(web, net);
      assert.equal(plugin.host.state.endpoints.get(endpoint)?.container, undefined);
      assert.equal(plugin.host.state.endpoints.get(endpoint)?.joined, true);
    });
  });

  describe("networks", () => {
    fresh();
    it("keeps the options, and what is asked about the network", async () => {
      const options = { mtu: "1400", publish: "host", isolation: "endpoint", sticky: "off", pools: "v4" };
      const net = await docker.createNetwork(1, "apps", { options, internal: true });
      const record = plugin.host.state.networks.get(net);
      assert.deepEqual(record?.spec, {
        pools: ["v4"],
        families: [4],
        mtu: 1400,
        publish: "host",
        isolation: "endpoint",
        internal: true,
        sticky: false,
      });
      assert.deepEqual({ ...record.options }, options);
    });

    it("tells what to type where --ipam-driver manx was left out", async () => {
      const message = {
        NetworkID: id(1),
        Options: { "com.docker.network.generic": { mtu: "1400" }, "com.docker.network.internal": true },
        IPv4Data: [{ AddressSpace: "LocalDefault", Pool: "172.20.0.0/16", Gateway: "172.20.0.1/16" }],
        IPv6Data: [],
      };
      const sentence = await plugin.refused("NetworkDriver.CreateNetwork", message);
      assert.match(sentence, /docker network create -d manx --ipam-driver manx --internal -o mtu=1400 NAME/);
      assert.equal(plugin.host.state.networks.size, 0);
    });

    it("is told twice and knows it once", async () => {
      const net = await docker.createNetwork(1, "apps");
      const before = plugin.host.state.networks.get(net);
      await plugin.ok("NetworkDriver.CreateNetwork", { NetworkID: net, Options: {}, IPv4Data: [], IPv6Data: [] });
      assert.equal(plugin.host.state.networks.get(net), before);
      await docker.removeNetwork(net);
      await docker.removeNetwork(net);
    });

    it("learns whose pool is whose where two networks of one subnet were made at the same moment", async () => {
      const ask = { AddressSpace: "manx-local", Pool: "10.66.0.0/24", SubPool: "", Options: {}, V6: false };
      const pools: string[] = [];
      for (let i = 0; i < 2; i++) pools.push(String((await plugin.ok("IpamDriver.RequestPool", ask))["PoolID"]));
      const IPv4Data = [{ AddressSpace: "manx-local", Pool: "10.66.0.0/24" }];
      // The second was asked for last and is created first.
      for (const NetworkID of [id(2), id(1)]) await plugin.ok("NetworkDriver.CreateNetwork", { NetworkID, IPv4Data });
      for (const [index, NetworkID] of [id(1), id(2)].entries()) {
        const got = await plugin.ok("IpamDriver.RequestAddress", { PoolID: pools[index], Address: "" });
        const Interface = { Address: got["Address"], AddressIPv6: "", MacAddress: "" };
        await plugin.ok("NetworkDriver.CreateEndpoint", { NetworkID, EndpointID: id(10 + index), Interface });
        const known = [...plugin.host.state.networks.values()].flatMap(({ ipv4Pools }) => ipv4Pools);
        assert.deepEqual(known.toSorted(), pools.toSorted(), "each pool is one network's");
      }
      const poolsOf = (network: string) => plugin.host.state.networks.get(network)?.ipv4Pools;
      assert.deepEqual([poolsOf(id(1)), poolsOf(id(2))], [[pools[0]], [pools[1]]]);
    });

    it("takes forgotten endpoints along when it is removed", async () => {
      const net = await docker.createNetwork(1, "apps");
      await docker.start(docker.createContainer("web", net, {}), net, { options: { addresses: "10.65.0.9" } });
      await docker.removeNetwork(net);
      assert.equal(plugin.host.state.endpoints.size, 0);
      assert.deepEqual(inUse(), []);
    });

    it("leaves nothing of a network that could not be made", async () => {
      await assert.rejects(docker.createNetwork(1, "apps", { options: { colour: "red" } }), /Known are: pools/);
      await assert.rejects(docker.createNetwork(1, "apps", { options: { pools: "nosuch" } }), /nosuch/);
      await assert.rejects(
        docker.createNetwork(1, "apps", { subnet: "10.65.0.0/16", options: { pools: "v4" } }),
        /both/,
      );
      await assert.rejects(docker.createNetwork(1, "six", { ipamOptions: { ipv4: "off" } }), /neither IPv4 nor IPv6/);
      assert.equal(plugin.host.state.networks.size, 0);
    });

    it("is not open to the outside where it cannot be told whether it is to be", async () => {
      const { PoolID, Pool } = await plugin.ok("IpamDriver.RequestPool", { AddressSpace: "manx-local", V6: false });
      const IPv4Data = [{ AddressSpace: "manx-local", Pool }];
      for (const internal of ["maybe", 1, {}]) {
        const message = { NetworkID: id(1), Options: { "com.docker.network.internal": internal }, IPv4Data };
        assert.match(await plugin.refused("NetworkDriver.CreateNetwork", message), /must be true or false/);
      }
      await plugin.ok("IpamDriver.ReleasePool", { PoolID });
    });

    it("uses a second subnet where the first is full", async () => {
      const message = { AddressSpace: "manx-local", SubPool: "", Options: {}, V6: false };
      const pools: Readonly<Record<string, unknown>>[] = [];
      for (const Pool of ["10.66.0.0/30", "10.66.1.0/30"])
        pools.push(await plugin.ok("IpamDriver.RequestPool", { ...message, Pool }));
      await plugin.ok("NetworkDriver.CreateNetwork", {
        NetworkID: id(1),
        IPv4Data: pools.map(({ Pool }) => ({ AddressSpace: "manx-local", Pool })),
      });
      const PoolID = pools[0]?.["PoolID"];
      const got = new Set<unknown>();
      for (let i = 0; i < 8; i++)
        got.add((await plugin.ok("IpamDriver.RequestAddress", { PoolID, Address: "" }))["Address"]);
      assert.equal(got.size, 8);
      assert.match(await plugin.refused("IpamDriver.RequestAddress", { PoolID, Address: "" }), /10\.66/);
      for (const Address of got) await plugin.ok("IpamDriver.ReleaseAddress", { PoolID, Address });
      assert.deepEqual(inUse(), []);
    });
  });

  describe("an endpoint that is refused its IPv6 address", () => {
    fresh();
    /** What Docker sends: it forgets the IPv4 address. */
    const ask = async (net: string, ipv4: string, ipv6: string) => {
      const [first, second] = docker.pools.get(net) ?? [];
      await plugin.ok("IpamDriver.RequestAddress", { PoolID: first?.PoolID, Address: ipv4, Options: {} });
      return plugin.call("IpamDriver.RequestAddress", { PoolID: second?.PoolID, Address: ipv6, Options: {} });
    };

    for (const ipv4 of ["10.65.0.7", ""])
      it(`does not keep its IPv4 address, ${ipv4 === "" ? "chosen by Manx" : "asked for"}`, async () => {
        const net = await docker.createNetwork(1, "apps", { ipv6: true });
        const web = docker.createContainer("web", net);
        await docker.start(web, net);
        const before = inUse();
        assert.ok("Err" in (await ask(net, ipv4, before.find((held) => held.includes(":")) ?? "")).body);
        assert.deepEqual(inUse(), before);
      });

    it("does not take the address of an endpoint that was made", async () => {
      const net = await docker.createNetwork(1, "apps", { ipv6: true });
      const web = docker.createContainer("web", net);
      await docker.start(web, net);
      const before = inUse();
      const PoolID = docker.pools.get(net)?.[1]?.PoolID;
      await plugin.refused("IpamDriver.RequestAddress", { PoolID, Address: "10.1.1.1" });
      assert.deepEqual(inUse(), before);
    });
  });

  describe("ReleaseAddress", () => {
    fresh();
    it("does not take an address from an endpoint that has it", async () => {
      const net = await docker.createNetwork(1, "apps");
      const web = docker.createContainer("web", net);
      const started = await docker.start(web, net);
      await plugin.ok("IpamDriver.ReleaseAddress", started.addresses[0]);
      const address = started.addresses[0]?.Address.replace("/32", "");
      assert.deepEqual(inUse(), [address]);
      await plugin.ok("NetworkDriver.DeleteEndpoint", { NetworkID: net, EndpointID: started.endpoint });
      assert.deepEqual(inUse(), [address], "until Docker gives it back after the endpoint");
      await docker.stop(web, net, started);
      assert.deepEqual(inUse(), []);
    });
  });

  describe("the way from Docker's call to its answer", () => {
    fresh();
    it("has no use for the question that deadlocks the engine", () => {
      const folder = import.meta.dirname;
      const reached = new Set<string>();
      const visit = (file: string): void => {
        if (reached.has(file)) return;
        reached.add(file);
        const text = readFileSync(file, "utf8");
        for (const [, from = ""] of text.matchAll(/^import (?!type )[^;]*?from "(\.[^"]+)"/gms))
          visit(join(file, "..", from));
      };
      visit(join(folder, "calls.ts"));
      visit(join(folder, "server.ts"));
      assert.ok(reached.size > 15, "the walk finds the files");
      assert.ok(globSync("*.ts", { cwd: folder }).includes("adopt.ts"));
      assert.deepEqual(
        [...reached].filter((file) => /docker\/(inspect|adopt|reconcile)\.ts$/.test(file)),
        [],
      );
    });
  });
});
