import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, it } from "node:test";
import { Reconciler } from "../../core/reconcile/reconciler.ts";
import { DriverError } from "../error.ts";
import { hasDrifted, readSysctl, restoreSysctls, Sysctls } from "./sysctls.ts";

const signal = new AbortController().signal;

describe("Sysctls", () => {
  let root: string;
  let originals: Map<string, string>;
  let sysctls: Reconciler<string, string>;

  const put = (path: string, value: string): void => {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), `${value}\n`);
  };
  const step = (desired: Record<string, string>): Promise<unknown> =>
    sysctls.step(new Map(Object.entries(desired)), signal);

  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), "manx-sysctls-"));
    originals = new Map();
    sysctls = new Reconciler(new Sysctls(originals, root));
    put("net/ipv4/ip_forward", "0");
    put("net/ipv6/conf/all/forwarding", "0");
    for (const name of ["all", "default", "lo", "eth0", "static", "manx1"]) put(`net/ipv6/conf/${name}/accept_ra`, "1");
    put("net/ipv6/conf/static/accept_ra", "0");
    put("net/ipv4/conf/manx1/rp_filter", "1");
  });
  afterEach(() => rmSync(root, { recursive: true }));

  it("gives a LAN interface's settings back as soon as they are not wanted, also after a restart", async () => {
    put("net/ipv6/conf/eth0/proxy_ndp", "0");
    put("net/ipv4/neigh/eth0/proxy_delay", "80");
    const lan = { "net/ipv6/conf/eth0/proxy_ndp": "1", "net/ipv4/neigh/eth0/proxy_delay": "0" };
    await step({ ...lan, "net/ipv4/ip_forward": "1" });
    assert.equal(readSysctl("net/ipv4/neigh/eth0/proxy_delay", root), "0");
    sysctls = new Reconciler(new Sysctls(originals, root));
    await step({ "net/ipv4/ip_forward": "1" });
    assert.equal(readSysctl("net/ipv6/conf/eth0/proxy_ndp", root), "0");
    assert.equal(readSysctl("net/ipv4/neigh/eth0/proxy_delay", root), "80");
    assert.deepEqual([...originals.keys()], ["net/ipv4/ip_forward"]);
  });

  it("sees at a glance whether a setting of the whole host was changed back", async () => {
    const wanted = {
      "net/ipv4/ip_forward": "1",
      "net/ipv4/conf/manx1/rp_filter": "0",
      "net/ipv4/conf/gone/rp_filter": "0",
    };
    const drifted = (): boolean => hasDrifted(new Map(Object.entries(wanted)), root);
    assert.equal(drifted(), true);
    await step({ "net/ipv4/ip_forward": "1" });
    assert.equal(drifted(), false);
    put("net/ipv4/ip_forward", "0");
    assert.equal(drifted(), true);
  });

  it("writes what differs, remembers what it was, and gives it back", async () => {
    await step({ "net/ipv4/ip_forward": "1" });
    assert.equal(readFileSync(join(root, "net/ipv4/ip_forward"), "utf8"), "1\n");
    assert.deepEqual([...originals], [["net/ipv4/ip_forward", "0"]]);
    restoreSysctls(originals, new Set(), root);
    assert.equal(readSysctl("net/ipv4/ip_forward", root), "0");
    assert.equal(originals.size, 0);
  });

  it("does not make its own what already was as it should be", async () => {
    put("net/ipv4/ip_forward", "1");
    assert.deepEqual(await step({ "net/ipv4/ip_forward": "1" }), { upserts: new Map(), deletes: new Set() });
    assert.equal(originals.size, 0);
  });

  it("finds nothing to do after a restart, and repairs what was changed", async () => {
    await step({ "net/ipv4/ip_forward": "1" });
    const fresh = new Reconciler(new Sysctls(originals, root));
    const desired = new Map([["net/ipv4/ip_forward", "1"]]);
    assert.equal((await fresh.step(desired, signal)).upserts.size, 0);
    put("net/ipv4/ip_forward", "0");
    fresh.resync();
    assert.equal((await fresh.step(desired, signal)).upserts.size, 1);
    assert.equal(readSysctl("net/ipv4/ip_forward", root), "1");
    assert.equal(originals.get("net/ipv4/ip_forward"), "0");
  });

  it("leaves a setting that is no longer wanted until Manx leaves: others may rely on it", async () => {
    await step({ "net/ipv4/ip_forward": "1" });
    await step({});
    assert.equal(readSysctl("net/ipv4/ip_forward", root), "1");
    restoreSysctls(originals, new Set(["net/ipv4/ip_forward"]), root);
    assert.equal(readSysctl("net/ipv4/ip_forward", root), "1");
    assert.equal(originals.size, 1);
  });

  it("keeps router advertisements when it switches IPv6 forwarding on, but not where the host did not heed them", async () => {
    await step({ "net/ipv6/conf/all/forwarding": "1" });
    const accept = (name: string): string | undefined => readSysctl(`net/ipv6/conf/${name}/accept_ra`, root);
    assert.deepEqual(["default", "eth0", "static", "all", "manx1"].map(accept), ["2", "2", "0", "1", "1"]);
    restoreSysctls(originals, new Set(), root);
    assert.deepEqual(["default", "eth0"].map(accept), ["1", "1"]);
  });

  it("remembers nothing of its own interfaces, which go with their settings", async () => {
    await step({ "net/ipv4/conf/manx1/rp_filter": "2" });
    assert.equal(readSysctl("net/ipv4/conf/manx1/rp_filter", root), "2");
    assert.equal(originals.size, 0);
  });

  it("sets the others though one is not there, and says which", async () => {
    const code = (error: unknown): boolean => error instanceof DriverError && error.code === "not-found";
    await assert.rejects(step({ "net/ipv4/conf/manxgone/rp_filter": "2", "net/ipv4/ip_forward": "1" }), (error) => {
      assert.match(String(error), /net\.ipv4\.conf\.manxgone\.rp_filter/);
      return code(error);
    });
    assert.equal(readSysctl("net/ipv4/ip_forward", root), "1");
  });

  it("refuses a path that leads out of net/", async () => {
    for (const path of ["kernel/hostname", "net/../kernel/hostname", "net/ipv4//x", "/etc/passwd", "net/a\0b"]) {
      await assert.rejects(step({ [path]: "1" }), /it is no path below net/);
    }
  });
});
