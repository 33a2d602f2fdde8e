import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, stat } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { Dashboard } from "./dashboard.ts";

describe("dashboard", () => {
  let folder = "";
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "manx-dashboard-"));
  });
  after(() => rm(folder, { recursive: true }));

  const open = (name: string, port: number, onTrouble?: (why: string | undefined) => void): Promise<Dashboard> =>
    Dashboard.open(
      {
        address: { address: "127.0.0.1", port },
        tokenFile: join(folder, name),
        names: [],
        ...(onTrouble !== undefined && { onTrouble }),
      },
      { fetch: () => Response.json({ yes: true }) },
    );

  it("serves the page, keeps its token for root alone, and ends all sessions with a new one", async () => {
    await using dashboard = await open("token", 0);
    const { url = "", token = "", link } = await dashboard.view();
    assert.equal(link, `${url}#token=${token}`);
    assert.equal((await stat(join(folder, "token"))).mode & 0o777, 0o600);
    assert.equal((await readFile(join(folder, "token"), "utf8")).trim(), token);
    const page = await fetch(url);
    assert.match(await page.text(), /<script type="module" src="\/app\/main\.js">/);
    const etag = page.headers.get("etag") ?? "";
    assert.equal((await fetch(url, { headers: { "if-none-match": etag } })).status, 304);
    const login = await fetch(`${url}login`, { method: "POST", body: token, headers: { origin: url.slice(0, -1) } });
    const cookie = login.headers.get("set-cookie")?.split(";")[0] ?? "";
    const ask = async (): Promise<number> => (await fetch(`${url}v1/status`, { headers: { cookie } })).status;
    assert.equal(await ask(), 200);
    await dashboard.renew();
    assert.equal(await ask(), 401);
    assert.notEqual((await dashboard.view()).token, token);
  });

  it("has the same token after a restart", async () => {
    const tokens: (string | undefined)[] = [];
    for (let i = 0; i < 2; i++) {
      await using dashboard = await open("kept", 0);
      tokens.push(await dashboard.token());
    }
    assert.equal(tokens[0], tokens[1]);
  });

  it("says that its port is taken, and is nobody's end", async () => {
    const other = createServer();
    await new Promise<void>((resolve) => other.listen(0, "127.0.0.1", resolve));
    const { port } = other.address() as { port: number };
    const troubles: (string | undefined)[] = [];
    {
      await using dashboard = await open("taken", port, (why) => troubles.push(why));
      assert.equal((await dashboard.view()).state, "failed");
    }
    assert.match(troubles[0] ?? "", /^Cannot listen on 127\.0\.0\.1:\d+: .*EADDRINUSE/);
    await new Promise((resolve) => other.close(resolve));
  });
});
