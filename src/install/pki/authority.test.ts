import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { run } from "../../drivers/exec.ts";
import { Authority, daysLeft, writeCredentials } from "./authority.ts";
import { newKeyPair, writeCertificate } from "./certificate.ts";
import { integer, oid, time } from "./der.ts";

describe("certificate authority", () => {
  it("signs what OpenSSL accepts in its strictest mode, for names and addresses of both families", async () => {
    const folder = mkdtempSync(join(tmpdir(), "manx-pki-"));
    try {
      const authority = await Authority.ensure(folder);
      assert.equal((await Authority.ensure(folder)).fingerprint, authority.fingerprint, "made once");
      const leaf = authority.issue("etcd h1", ["server", "client"], ["h1", "localhost", "10.0.0.1", "fd00::1"]);
      await writeCredentials(folder, "leaf", leaf);
      const certificate = new X509Certificate(leaf.certificate);
      assert.ok(certificate.checkHost("h1") && certificate.checkIP("10.0.0.1") && certificate.checkIP("fd00::1"));
      assert.equal(certificate.checkHost("h2"), undefined);
      assert.equal(certificate.checkIP("10.0.0.2"), undefined);
      assert.equal(certificate.ca, false);
      const openssl = await run([
        "openssl",
        "verify",
        "-x509_strict",
        "-CAfile",
        join(folder, "ca.crt"),
        join(folder, "leaf.crt"),
      ]);
      assert.equal(openssl.code, 0, openssl.stderr);
      assert.ok(Math.abs(((await daysLeft(join(folder, "leaf.crt"))) ?? 0) - 1095) < 1);
      assert.equal(statSync(folder).mode & 0o777, 0o700);
      for (const name of ["ca.key", "leaf.key"]) assert.equal(statSync(join(folder, name)).mode & 0o777, 0o600);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it("gives each certificate a serial number of its own, and writes years from 2050 on", () => {
    const { publicKey, privateKey } = newKeyPair();
    const options = { subject: "x", publicKey, issuer: { name: "x", key: privateKey }, use: "ca" } as const;
    const far = Array.from({ length: 20 }, () => new X509Certificate(writeCertificate({ ...options, days: 36_500 })));
    assert.equal(new Set(far.map(({ serialNumber }) => serialNumber)).size, 20);
    assert.match(far[0]?.validTo ?? "", /21\d\d GMT/);
  });

  it("writes numbers as X.690 wants them", () => {
    const rows: readonly (readonly [Buffer, string])[] = [
      [integer(0n), "020100"],
      [integer(127n), "02017f"],
      [integer(128n), "02020080"],
      [integer(256n), "02020100"],
      [oid("1.2.840.10045.4.3.2"), "06082a8648ce3d040302"],
      [oid("2.5.29.17"), "0603551d11"],
      [time(new Date("2049-12-31T23:59:59.999Z")), `170d${Buffer.from("491231235959Z").toString("hex")}`],
      [time(new Date("2050-01-01T00:00:00Z")), `180f${Buffer.from("20500101000000Z").toString("hex")}`],
    ];
    for (const [der, hex] of rows) assert.equal(der.toString("hex"), hex);
  });
});
