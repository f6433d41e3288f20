/** A program that embeds the daemon: docs/examples/embed.mjs as it stands, and the API that it uses. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { after, before, describe, type TestContext, test } from "node:test";
import { loadConfig, M2pushError, openLog, startDaemon } from "../../src/index.js";
import { type Mongrel2, startMongrel2 } from "../support/mongrel2.js";
import { freePort } from "../support/ports.js";
import { PROJECT, removeDirectory, temporaryDirectory } from "../support/processes.js";
import { openStream } from "../support/sse-client.js";

describe("Embedding", () => {
  let mongrel2: Mongrel2;
  before(async () => {
    mongrel2 = await startMongrel2();
  });
  after(() => mongrel2.stop());

  async function folder(t: TestContext): Promise<{ readonly dir: string; readonly publish: string }> {
    const dir = temporaryDirectory();
    t.after(() => removeDirectory(dir));
    const publish = `tcp://127.0.0.1:${await freePort()}`;
    writeFileSync(
      join(dir, "m2push.toml"),
      `[[mongrel2]]
name = "main"
send_spec = "${mongrel2.sendSpec}"
recv_spec = "${mongrel2.recvSpec}"
send_ident = "${mongrel2.sendIdent}"
control = "${mongrel2.controlSpec}"
[publish]
zmq = "${publish}"
[beacon]
interval = "0"
[admin]
listen = "127.0.0.1:0"
`,
    );
    return { dir, publish };
  }

  test("the example runs: it publishes, prints who connects, and ends by SIGTERM", async (t) => {
    const { dir } = await folder(t);
    const child = spawn(process.execPath, [join(PROJECT, "docs/examples/embed.mjs")], {
      cwd: dir,
      stdio: ["ignore", "pipe", "inherit"],
    });
    t.after(() => child.kill("SIGKILL"));
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    const line = async (wanted: RegExp) => {
      for (let next = await lines.next(); !next.done; next = await lines.next()) {
        if (wanted.test(next.value)) return next.value;
      }
      return assert.fail(`no line like ${wanted}`);
    };
    assert.equal(await line(/./), "event stream at /esupdates");
    const stream = await openStream(`${mongrel2.url}/esupdates`);
    t.after(() => stream.close());
    assert.equal(await line(/^connected/), "connected, clients: 1");
    assert.match(await line(/^published/), /^published #/);
    const event = await stream.next(({ data }) => data !== "{}");
    assert.match(event.data, /^\d{4}-\d{2}-\d{2}T/);
    assert.match(event.id, /^#/);
    await stream.close();
    assert.equal(await line(/^disconnected/), "disconnected (left), clients: 0");
    const exited = once(child, "exit");
    child.kill("SIGTERM");
    assert.deepEqual(await exited, [0, null]);
  });

  test("publish, listeners, addresses, reload and stop", async (t) => {
    const { dir, publish } = await folder(t);
    const { config } = loadConfig({ file: "m2push.toml", cwd: dir });
    const daemon = await startDaemon(config, { log: openLog("silent"), drain: true });
    t.after(() => daemon.stop());
    const { admin, ...address } = daemon.address;
    assert.deepEqual(address, { publish, hub: "http://localhost:6767/.well-known/mercure", stream: "/esupdates" });
    assert.equal((await fetch(`${admin}/healthz`)).status, 200);

    const seen: string[] = [];
    const connected = new Promise((resolve) => daemon.on("clientConnected", resolve));
    const remove = daemon.on("published", ({ publication }) => seen.push(publication.id));
    const stream = await openStream(`${mongrel2.url}/esupdates`);
    t.after(() => stream.close());
    await connected;
    const { id } = await daemon.publish({ topics: ["news"], data: "hello" });
    const event = await stream.next(({ data }) => data !== "{}");
    assert.deepEqual([event.id, event.data, seen], [id, "hello", [id]]);
    remove();
    await daemon.publish({ topics: ["news"], data: "again" });
    assert.deepEqual(seen, [id]);

    const invalid = (error: unknown) => error instanceof M2pushError && error.code === "invalid";
    await assert.rejects(daemon.publish({ topics: ["a\u0000"], data: "x" }), invalid);
    await assert.rejects(daemon.publish({ topics: ["/.well-known/mercure/subscriptions/x"], data: "x" }), invalid);

    assert.deepEqual(daemon.reload({ ...config, stream: { ...config.stream, path: "/other" } }), ["stream.path"]);
    await daemon.stop();
    await stream.closed;
    await assert.rejects(daemon.publish({ topics: ["news"], data: "late" }), { code: "unavailable" });
  });

  test("a listener that throws is logged, and the daemon goes on", async (t) => {
    const { dir } = await folder(t);
    const { config } = loadConfig({ file: "m2push.toml", cwd: dir });
    const lines: string[] = [];
    const log = openLog("error", { write: (line: string) => void lines.push(line) });
    const daemon = await startDaemon(config, { log });
    t.after(() => daemon.stop());
    daemon.on("published", () => {
      throw new Error("a mistake of the program");
    });
    await daemon.publish({ topics: ["news"], data: "hello" });
    await daemon.publish({ topics: ["news"], data: "again" });
    assert.match(lines.join(""), /a mistake of the program/);
  });
});
