import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { extraAddresses, readDriverOptions, readExposedPorts, readPortBindings } from "./endpoint-options.ts";
import { gatewayIndex, gateways, interfaceNames, macOf, parseMac } from "./names.ts";
import { checkMtu, readInterfacePrefix, readNetworkOptions } from "./network-options.ts";

const network = (options: Record<string, unknown>) => readNetworkOptions(new Map(Object.entries(options)));

describe("network options", () => {
  it("have defaults", () => assert.deepEqual(network({}), { publish: "address", isolation: "network", sticky: true }));

  it("are read", () =>
    assert.deepEqual(network({ pools: "b, a,b", mtu: "9000", publish: "off", isolation: "off", sticky: "off" }), {
      pools: ["b", "a"],
      mtu: 9000,
      publish: "off",
      isolation: "off",
      sticky: false,
    }));

  it("take Docker's name for the MTU, and its 0 for the default", () => {
    assert.equal(network({ "com.docker.network.driver.mtu": "1450" }).mtu, 1450);
    assert.equal(network({ "com.docker.network.driver.mtu": "0" }).mtu, undefined);
    assert.equal(network({ "com.docker.network.driver.mtu": "1450", mtu: "1450" }).mtu, 1450);
  });

  const refused: [string, Record<string, unknown>, RegExp][] = [
    ["an unknown one, naming the known", { colour: "x" }, /no option "colour".*pools.*mtu.*publish.*isolation.*sticky/],
    ["one of the bridge driver", { "com.docker.network.bridge.name": "br0" }, /no bridge/],
    [
      "one of the bridge driver that Manx does by itself",
      { "com.docker.network.bridge.gateway_mode_ipv6": "routed" },
      /routes every address/,
    ],
    [
      "an option that is a flag of docker's, saying which",
      { "com.docker.network.internal": "true" },
      /Type --internal$/,
    ],
    ["icc, saying what to type", { "com.docker.network.bridge.enable_icc": "false" }, /isolation=endpoint/],
    ["an MTU that no link has", { mtu: "67" }, /68 to 65535/],
    ["an MTU that is no number", { mtu: "1e3" }, /"1e3"/],
    ["a negative MTU", { mtu: "-1500" }, /"-1500"/],
    ["two MTUs", { mtu: "1400", "com.docker.network.driver.mtu": "1500" }, /twice/],
    ["another publish", { publish: "on" }, /address, host or off/],
    ["another isolation", { isolation: "none" }, /network, endpoint or off/],
    ["a value in capitals", { sticky: "ON" }, /on or off/],
    ["a CIDR as a pool", { pools: "10.0.0.0/8" }, /--subnet/],
    ["an empty list of pools", { pools: "" }, /names of IP pools/],
    ["metacharacters in pools", { pools: "a;b" }, /names of IP pools/],
    ["a number where a text is due", { mtu: 1400 }, /must be a text/],
    ["__proto__", JSON.parse('{"__proto__":"x"}') as Record<string, unknown>, /__proto__/],
  ];
  for (const [what, options, why] of refused)
    it(`refuse ${what}`, () =>
      assert.throws(
        () => network(options),
        (error: Error) => why.test(error.message),
      ));

  it("know what IPv6 needs", () => {
    assert.throws(() => checkMtu(1279, [4, 6]), /1280/);
    checkMtu(1279, [4]);
    checkMtu(undefined, [6]);
  });

  it("name the interfaces inside", () => {
    const name = "com.docker.network.container_iface_prefix";
    assert.equal(readInterfacePrefix(new Map()), "eth");
    assert.equal(readInterfacePrefix(new Map([[name, "lan"]])), "lan");
    for (const bad of ["", "0x", "a/b", "a b", "toolongprefix", "..", "é"])
      assert.throws(() => readInterfacePrefix(new Map([[name, bad]])), /letter/, bad);
  });
});

describe("ports", () => {
  const PORTMAP = "com.docker.network.portmap";
  const EXPOSED = "com.docker.network.endpoint.exposedports";

  it("are read as Docker sends them", () => {
    const options = new Map<string, unknown>([
      [
        EXPOSED,
        [
          { Proto: 6, Port: 80 },
          { Proto: 17, Port: 53 },
          { Proto: 6, Port: 80 },
        ],
      ],
      [
        PORTMAP,
        [
          { Proto: 6, IP: "", Port: 80, HostIP: "", HostPort: 8080, HostPortEnd: 8080 },
          { Proto: 6, IP: "", Port: 80, HostIP: "0.0.0.0", HostPort: 8080, HostPortEnd: 8080 },
          { Proto: 6, IP: "", Port: 80, HostIP: "::", HostPort: 8080, HostPortEnd: 8080 },
          { Proto: 132, Port: 9, HostIP: "127.0.0.1", HostPort: 9000, HostPortEnd: 9010 },
          { Proto: 17, Port: 53 },
        ],
      ],
    ]);
    assert.deepEqual(readExposedPorts(options), [
      { protocol: "TCP", port: 80 },
      { protocol: "UDP", port: 53 },
    ]);
    assert.deepEqual(readPortBindings(options), [
      { protocol: "TCP", port: 80, hostAddress: "", hostPort: 8080, hostPortEnd: 8080 },
      { protocol: "SCTP", port: 9, hostAddress: "127.0.0.1", hostPort: 9000, hostPortEnd: 9010 },
      { protocol: "UDP", port: 53, hostAddress: "", hostPort: 0, hostPortEnd: 0 },
    ]);
    assert.deepEqual(readPortBindings(new Map([[PORTMAP, null]])), []);
  });

  const refused: [unknown, RegExp][] = [
    [[{ Proto: 1, Port: 80 }], /SCTP/],
    [[{ Proto: 6, Port: 0 }], /portmap\.0\.Port/],
    [[{ Proto: 6, Port: 65536 }], /portmap\.0\.Port/],
    [[{ Proto: 6, Port: 1.5 }], /portmap\.0\.Port/],
    [[{ Proto: 6, Port: 80, HostPort: -1 }], /HostPort/],
    [[{ Proto: 6, Port: 80, HostIP: "a.b" }], /IP address/],
    [{ Proto: 6 }, /portmap/],
    ["80", /portmap/],
  ];
  for (const [value, why] of refused)
    it(`refuse ${JSON.stringify(value)}`, () =>
      assert.throws(
        () => readPortBindings(new Map([[PORTMAP, value]])),
        (error: Error) => why.test(error.message),
      ));
});

describe("driver options", () => {
  it("leave out what is Docker's own", () => {
    const options = new Map<string, unknown>([
      ["com.docker.network.endpoint.exposedports", []],
      ["com.docker.network.portmap", []],
      ["com.docker.network.endpoint.macaddress", "AkKsESIz"],
      ["com.docker.network.endpoint.dnsservers", ["1.1.1.1"]],
      ["com.docker.network.driver.private.no_proxy_6to4", true],
      ["addresses", "10.0.0.1,10.0.0.1 + FD65::1"],
    ]);
    const { addresses, given } = readDriverOptions(options);
    assert.equal(addresses.length, 2);
    assert.deepEqual(extraAddresses({ driverOptions: given }), ["10.0.0.1", "fd65::1"]);
  });

  it("know limits", () => {
    const many = Array.from({ length: 65 }, (_, i) => `10.0.0.${i}`).join();
    assert.throws(() => readDriverOptions(new Map([["addresses", many]])), /64 at most/);
    assert.throws(() => readDriverOptions(new Map([["addresses", ""]])), /not an IP address/);
    assert.throws(() => readDriverOptions(new Map([["addresses", 5]])), /must be a text/);
  });
});

describe("names", () => {
  it("fit the kernel", () => {
    const { host, peer } = interfaceNames("0123456789abcdef");
    assert.deepEqual([host, peer], ["manx0123456789a", "mxp0123456789a"]);
    assert.ok(host.length <= 15);
  });

  it("of gateways are read back", () => {
    for (const index of [1, 9, 10, 16, 254]) {
      assert.equal(gatewayIndex(gateways(index).ipv4), index);
      assert.equal(gatewayIndex(gateways(index).ipv6), index);
    }
    for (const other of [
      "",
      "169.254.1.0",
      "169.254.1.255",
      "169.254.1.999",
      "10.0.0.1",
      "fe80::0",
      "fe80::ff",
      "fe80::1:2",
    ])
      assert.equal(gatewayIndex(other), undefined, other);
  });

  it("of MAC addresses are local, single, and stable", () => {
    for (const text of ["10.65.0.1", "fd65::1", "255.255.255.255"]) {
      const mac = macOf(text);
      assert.equal(parseMac(mac), mac);
      assert.equal(Number.parseInt(mac.slice(0, 2), 16) & 3, 2);
      assert.equal(macOf(text), mac);
    }
    assert.equal(parseMac("02-42-AC-11-00-02"), "02:42:ac:11:00:02");
    for (const bad of [
      "",
      "0:0:0:0:0:0",
      "00:00:00:00:00:00",
      "01:00:5e:00:00:01",
      "ff:ff:ff:ff:ff:ff",
      "02:42:ac:11:00",
      "x",
    ])
      assert.equal(parseMac(bad), undefined, bad);
  });
});
