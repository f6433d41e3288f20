/** The sample of docs/examples for Node.js that uses m2push/client. Those for React and Vue: test/e2e/client-samples.test.ts. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { Changes } from "../support/deadline.js";
import { Child, PROJECT, removeDirectory, temporaryDirectory } from "../support/processes.js";

const OPEN = 'event: m2push-open\nid: #e.5\ndata: {"stream":"name"}\n\n';

const folder = temporaryDirectory();
after(() => removeDirectory(folder));
const modules = join(folder, "node_modules");
mkdirSync(modules);
symlinkSync(PROJECT, join(modules, "m2push"));
writeFileSync(join(folder, "package.json"), '{"type":"module"}');

describe("Client sample", () => {
  test("the program for Node.js prints events, and goes on after a broken connection", async (t) => {
    const streams: ServerResponse[] = [];
    const changes = new Changes();
    const server = createServer((_, response) => {
      response.writeHead(200, { "content-type": "text/event-stream" }).write(`retry: 100\n${OPEN}`);
      streams.push(response);
      changes.tell();
    }).listen(0, "127.0.0.1");
    await once(server, "listening");
    t.after(() => server.close());
    writeFileSync(join(folder, "subscribe.mjs"), readFileSync(join(PROJECT, "docs/examples/subscribe.mjs")));
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
    const child = new Child(process.execPath, [join(folder, "subscribe.mjs"), "news", url], folder, process.env);
    t.after(() => child.end("SIGTERM"));
    child.process.stdout?.on("data", () => changes.tell());
    const stream = (index: number) => changes.until(() => streams[index], `request ${index}`);
    (await stream(0)).end("id: #e.6\ndata: 1\n\n");
    (await stream(1)).write("id: #e.7\ndata: 2\n\n");
    await changes.until(() => child.stdout === "1\n2\n", "both events");
    assert.match(child.stderr, /^ended; next attempt in 1\d\d\.?\d* ms\n$/);
  });
});
