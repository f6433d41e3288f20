/** `m2push load`, the built program, against Mongrel2 and the daemon. */
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, type TestContext, test } from "node:test";
import type { LogLine } from "../support/daemon.js";
import { Changes } from "../support/deadline.js";
import { pairOfSuite } from "../support/pair.js";
import { Child, PROJECT, run } from "../support/processes.js";

const PROGRAM = join(PROJECT, "dist/cli/main.js");
const KEY = "a secret of the hub that is long enough";

describe("m2push load, end to end", () => {
  const pair = pairOfSuite({ config: { auth: { publisher_key: KEY } } });
  const hub = () => `${pair().mongrel2.url}/.well-known/mercure`;

  function start(t: TestContext, args: readonly string[]): Child {
    const child = new Child(process.execPath, [PROGRAM, "load", hub(), "--json", ...args], pair().dir);
    t.after(() => child.kill9());
    return child;
  }

  async function result(t: TestContext, args: readonly string[]) {
    const child = start(t, args);
    assert.deepEqual(await child.exited, { code: 0, signal: null }, child.stderr);
    await child.closed;
    return JSON.parse(child.stdout);
  }

  test("every client gets every event, with latencies, published through ZeroMQ", async (t) => {
    const found = await result(t, ["-n", "50", "--events", "100", "--duration", "1", "--zmq", pair().publishSpec]);
    const { connected, failed, cut, missing, repeated, expected, delivered, published, latencyMs } = found;
    assert.deepEqual([connected, failed, cut, missing, repeated], [50, 0, 0, 0, 0]);
    assert.ok(published > 0 && expected === 50 * published && delivered === expected, JSON.stringify(found));
    assert.ok(latencyMs.p50 > 0 && latencyMs.p50 <= latencyMs.p99 && latencyMs.p99 <= latencyMs.max);
  });

  test("publishes over HTTP with a token", async (t) => {
    const words = ["token", "make", "--publish", "m2push-load", "-c", pair().daemon.configFile];
    const token = (await run(process.execPath, [PROGRAM, ...words], pair().dir)).output.trim();
    const publish = ["--publish-url", hub(), "--publish-token", token];
    const found = await result(t, ["-n", "5", "--events", "20", "--duration", "1", ...publish]);
    assert.deepEqual([found.rejected, found.missing], [0, 0]);
    assert.ok(found.delivered > 0);
    const refused = await result(t, ["-n", "1", "--events", "1", "--duration", "1", "--publish-url", hub()]);
    assert.equal(refused.published, 0);
    assert.match(refused.hints.join("\n"), /events were rejected: .* answered 401/);
  });

  test("clients that are cut are counted; SIGINT ends it with the report", async (t) => {
    const from = pair().daemon.log.length;
    const child = start(t, ["-n", "20", "--events", "0", "--duration", "600"]);
    let connects = 0;
    const all = (line: LogLine) => line.event === "connect" && ++connects === 20;
    await pair().daemon.logged(all, "20 clients", { from });
    const changes = new Changes();
    child.process.stderr?.on("data", () => changes.tell());
    await changes.until(
      () => child.stderr.includes("listening"),
      "it to listen",
      20_000,
      () => child.stderr,
    );
    const { mongrel2, daemon } = pair();
    const ended = daemon.log.length;
    await mongrel2.restart();
    await daemon.logged(({ event }) => event === "link_live", "the link", { from: ended });
    child.signal("SIGINT");
    assert.deepEqual(await child.exited, { code: 0, signal: null });
    await child.closed;
    const found = JSON.parse(child.stdout);
    assert.deepEqual([found.connected, found.cut, found.otherEvents], [20, 20, 0]);
  });

  test("another machine is loaded with --yes only, and more clients than descriptors are refused", async () => {
    const load = (...args: string[]) => run(process.execPath, [PROGRAM, "load", ...args], pair().dir);
    const foreign = await load("http://192.0.2.1/", "--zmq", "tcp://192.0.2.2:1");
    assert.equal(foreign.exit.code, 2);
    assert.match(foreign.output, /^m2push: 192\.0\.2\.1 and 192\.0\.2\.2 is not this machine: .*; fix: add --yes/);
    const script = join(pair().dir, "limited.sh");
    writeFileSync(script, 'ulimit -n 400 && exec "$@"');
    const limited = await run("sh", [script, process.execPath, PROGRAM, "load", hub(), "-n", "500"], pair().dir);
    assert.equal(limited.exit.code, 2);
    assert.match(
      limited.output,
      /500 clients need 564 file descriptors, and this process may open 400; fix: run `ulimit -n 564`/,
    );
    const nobody = await load(`${pair().mongrel2.url}/nothing-here`, "--events", "0", "-n", "2");
    assert.equal(nobody.exit.code, 1);
    assert.match(nobody.output, /m2push: no client was served: status 404/);
  });
});
