/** What docs/troubleshooting.md says of Mongrel2 and of what stands around it, where no other test shows it. */
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { encodeCommand } from "../../src/protocol/control-protocol.js";
import { askControl } from "../support/control.js";
import { RawHandler } from "../support/handler.js";
import { startMongrel2 } from "../support/mongrel2.js";
import { Nginx } from "../support/nginx.js";
import { startPair } from "../support/pair.js";
import { run, temporaryDirectory } from "../support/processes.js";
import { openStream } from "../support/sse-client.js";

/** m2sh takes the user's name from here. */
const ENV = { ...process.env, LOGNAME: process.env.LOGNAME ?? "m2push" };
const load = (dir: string) => run("m2sh", ["load", "-config", "mongrel2.conf", "-db", "config.sqlite"], dir, ENV);

describe("Troubleshooting", () => {
  test("without a daemon a stream waits, files are served, and the next daemon answers", async (t) => {
    const pair = await startPair(t, { html: { "index.html": "the page" } });
    await pair.daemon.stop();
    const waiting = openStream(`${pair.mongrel2.url}/esupdates`);
    assert.equal(await (await fetch(`${pair.mongrel2.url}/`)).text(), "the page");
    await pair.restart();
    const stream = await waiting;
    t.after(() => stream.close());
    assert.equal(stream.status, 200);
  });

  test("another program on the same send_spec gets some of the requests, and those wait for it", async (t) => {
    const pair = await startPair(t);
    const other = await RawHandler.connect(pair.mongrel2);
    t.after(() => other.close());
    const stop = new AbortController();
    t.after(() => stop.abort());
    const { signal } = stop;
    const answers = Array.from({ length: 20 }, () =>
      fetch(`${pair.mongrel2.url}/esupdates`, { signal }).then(({ status }) => status),
    );
    for (const answer of answers) answer.catch(() => {}); // those that wait are aborted
    assert.equal(await Promise.any(answers), 200);
    await other.request();
  });

  test("a proxy that buffers by default passes events on, because the stream tells it to", async (t) => {
    const pair = await startPair(t);
    const nginx = await Nginx.before(pair.mongrel2);
    t.after(() => nginx.stop());
    const stream = await openStream(`http://127.0.0.1:${nginx.port}/esupdates`);
    t.after(() => stream.close());
    await pair.publisher.send(["news", "at once"]);
    assert.equal((await stream.next()).data, "at once");
  });

  test("m2sh load exits with 0 for a file that it does not take", async () => {
    const dir = temporaryDirectory();
    writeFileSync(join(dir, "mongrel2.conf"), "servers = [main,]\n");
    const { output, exit } = await load(dir);
    assert.equal(exit.code, 0);
    assert.match(output, /ERROR/);
  });

  test("a reload of Mongrel2 takes over no changed configuration, a restart does", async (t) => {
    const mongrel2 = await startMongrel2({ html: { "one.txt": "1" } });
    t.after(() => mongrel2.stop());
    const file = join(mongrel2.dir, "mongrel2.conf");
    writeFileSync(file, readFileSync(file, "utf8").replace("'/': page", "'/': page, '/other/': page"));
    await load(mongrel2.dir);
    await askControl(mongrel2, encodeCommand("reload", {}));
    const status = async () => (await fetch(`${mongrel2.url}/other/one.txt`)).status;
    assert.equal(await status(), 404);
    await mongrel2.restart();
    assert.equal(await status(), 200);
  });

  test("a connection that only fetched a file is a line in Mongrel2's error log", async (t) => {
    const mongrel2 = await startMongrel2({ html: { "one.txt": "1" } });
    t.after(() => mongrel2.stop());
    await (await fetch(`${mongrel2.url}/one.txt`, { headers: { Connection: "close" } })).text();
    await mongrel2.restart(); // what it had to write is written
    assert.match(mongrel2.log, /No handler to notify/);
  });
});
