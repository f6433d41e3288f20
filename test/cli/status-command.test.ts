import assert from "node:assert/strict";
import { PassThrough } from "node:stream";
import { describe, type TestContext, test } from "node:test";
import { addStatus } from "../../src/cli/status-command.js";
import { AdminServer } from "../../src/observability/admin/admin-server.js";
import type { Snapshot } from "../../src/observability/metrics/snapshot.js";
import { systemClock } from "../../src/util/clock.js";
import { admin, serverSnapshot, snapshotOf } from "../observability/metrics/harness.js";
import { freePort } from "../support/ports.js";
import { runCommand } from "./harness.js";

/** A daemon's admin address without the daemon. */
async function start(t: TestContext, now: () => Snapshot = () => snapshotOf()) {
  const { routes, sampler, observe, clock } = admin(now);
  sampler.start();
  const server = new AdminServer({ listen: "127.0.0.1:0", routes, failed: () => {} });
  await server.start();
  t.after(() => server.close());
  const listen = new URL(server.url).host;
  const run = (...args: string[]) => runCommand(addStatus, ["status", "--admin-listen", listen, ...args]);
  return { listen, run, observe, clock, server };
}

/** Seconds pass at once. */
const hasty = { ...systemClock, after: (_ms: number, run: () => void) => systemClock.after(0, run) };

/** Runs --watch until `pieces` pieces have been written; then the reader goes away. */
async function watch(
  listen: string,
  args: readonly string[],
  pieces: number,
  terminal?: { columns: number },
  each?: () => Promise<void>,
) {
  const stdout = Object.assign(new PassThrough(), terminal && { isTTY: true, ...terminal });
  const written: string[] = [];
  stdout.on("data", (bytes: Buffer) => {
    written.push(bytes.toString());
    if (written.length >= pieces) stdout.destroy();
    else void each?.();
  });
  const outcome = await runCommand(addStatus, ["status", "--watch", "--admin-listen", listen, ...args], {
    stdout,
    clock: hasty,
  });
  return { written, outcome };
}

const BUSY = snapshotOf({
  uptime: 100_000,
  servers: [
    serverSnapshot({ clients: 12_345, catchingUp: 12, queuedBodies: 3 }),
    serverSnapshot({ name: "a-name-that-is-much-longer-than-any-column", live: false, clients: 9_999_999 }),
  ],
  history: { epoch: "abc123", last: 123_456, floor: 23_456, keys: 0, count: 100_000, kept: 0, bytes: 25_600_000 },
});

describe("Status command", () => {
  test("the table says what there is to say, within 80 columns", async (t) => {
    const { run, observe, clock } = await start(t, () => BUSY);
    observe({
      type: "published",
      publication: { offset: 1, id: "", topics: [], private: false, time: 0, bytes: Buffer.alloc(10) },
    });
    observe({
      type: "flushed",
      server: "main",
      flush: { bodies: 1, frames: 97, bytes: 1_200_000, deliveries: 99_999_999, oldest: clock.now() },
    });
    clock.advance(1000);
    observe({ type: "flushAcknowledged", server: "main", milliseconds: 0.131 });
    const { stdout, code, stderr } = await run();
    assert.deepEqual([code, stderr], [0, ""]);
    const lines = stdout.trimEnd().split("\n");
    for (const line of lines) assert.ok(line.startsWith("!") || line.length <= 80, line);
    assert.match(stdout, /^m2push 1\.2\.3 {2}NOT READY {2}up 1d 3h {2}pid \d+$/m);
    assert.match(stdout, /^clients +10,012,344 {2}catching up +12 {2}loop lag +0\.00 ms$/m);
    assert.match(stdout, /^events\/s +1 {2}deliveries\/s +99,999,999 {2}sent\/s +1\.2 MB$/m);
    assert.match(stdout, /^main +live +12,345 +12 +3 +99,999,999 +0\.13 +1000$/m);
    assert.match(stdout, /^a-name-that-is-… +DOWN +9,999,999 +0 +0 +0 +- +-$/m);
    assert.match(stdout, /^history +100,000 events, 25\.6 MB, after 23456 to 123456, epoch abc123$/m);
    assert.match(stdout, /^! server a-name-that-is-much-longer-than-any-column: Mongrel2 has not answered/m);
  });

  test("what others wrote is shown by its codes where a terminal would obey it", async (t) => {
    const name = "a\u009b2J\u202e\nb";
    const { run } = await start(t, () => snapshotOf({ servers: [serverSnapshot({ name, live: false })] }));
    const [table, json] = [(await run()).stdout, (await run("--json")).stdout];
    for (const text of [table, json]) assert.doesNotMatch(text, /[\u009b\u202e]/);
    assert.match(table, /^! server a\\u009b2J\\u202e b: /m);
    assert.equal(JSON.parse(json).servers[0].name, name);
  });

  test("a history that is not open, and times of every length", async (t) => {
    let uptime = 5;
    const { run } = await start(t, () => snapshotOf({ history: undefined, uptime }));
    assert.match((await run()).stdout, /up 5s .*\n(.*\n)*history +not open$/m);
    for (const [seconds, text] of [
      [0, "0s"],
      [65, "1m 5s"],
      [7261, "2h 1m"],
      [3600, "1h 0m"],
    ] as const) {
      uptime = seconds;
      assert.match((await run()).stdout, new RegExp(` up ${text} `));
    }
  });

  test("--json is what the daemon said, on one line", async (t) => {
    const { run } = await start(t);
    const { stdout } = await run("--json");
    assert.equal(stdout.trimEnd().split("\n").length, 1);
    assert.equal(JSON.parse(stdout).m2push, "1.2.3");
  });

  test("a daemon that does not answer is an error that says where it was looked for", async () => {
    const listen = `127.0.0.1:${await freePort()}`;
    for (const more of [[], ["--json"], ["--watch"]]) {
      const { code, stdout, stderr } = await runCommand(addStatus, ["status", "--admin-listen", listen, ...more]);
      assert.deepEqual([code, stdout], [1, ""]);
      assert.match(
        stderr,
        /^m2push: m2push does not answer at http:\/\/127\.0\.0\.1:\d+\/status: is the daemon running, and .*\n$/,
      );
    }
  });

  test("somebody else at the address is not taken for the daemon", async (t) => {
    for (const body of ["<html>", "null", '{"a":1}', "[]"]) {
      const answer = { status: 200, type: "text/html", body };
      const server = new AdminServer({
        listen: "127.0.0.1:0",
        routes: new Map([["/status", { GET: () => answer }]]),
        failed: () => {},
      });
      await server.start();
      t.after(() => server.close());
      const { code, stderr } = await runCommand(addStatus, ["status", "--admin-listen", new URL(server.url).host]);
      assert.equal(code, 1);
      assert.match(stderr, /^m2push: what answers is not m2push at http/);
    }
  });

  test("an admin address that is off, or that has no fixed port, is an error of the configuration", async () => {
    for (const listen of ["", "127.0.0.1:0"]) {
      const { code, stderr } = await runCommand(addStatus, ["status", "--admin-listen", listen]);
      assert.equal(code, 2);
      assert.match(stderr, /^m2push: \[admin\] listen /);
    }
  });

  test("--watch on a pipe is one line a second of names and values", async (t) => {
    const { listen } = await start(t, () => BUSY);
    const { written, outcome } = await watch(listen, [], 3);
    assert.equal(outcome.code, 0);
    for (const line of written) {
      assert.match(
        line,
        /^\d{4}-\d\d-\d\dT[\d:.]+Z not-ready servers=1\/2 clients=10012344 behind=12 (\S+=[\d.]+ )+lag_ms=0\n$/,
      );
    }
  });

  test("--watch --json is one object a line", async (t) => {
    const { listen } = await start(t);
    const { written } = await watch(listen, ["--json"], 3);
    for (const line of written) assert.equal(JSON.parse(line).ready, true);
  });

  test("--watch on a terminal draws over what stood there, and cuts what would wrap", async (t) => {
    const { listen } = await start(t, () => BUSY);
    const { written } = await watch(listen, [], 4, { columns: 40 });
    assert.equal(written[0], "\x1b[2J");
    for (const screen of written.slice(1)) {
      assert.ok(screen.startsWith("\x1b[H") && screen.endsWith("\x1b[J"));
      const lines = screen.slice(3, -3).split("\x1b[K\r\n");
      for (const line of lines) assert.ok(line.replaceAll("\x1b[K", "").length <= 40, line);
      assert.ok(lines.length > 8);
    }
  });

  test("--watch goes on while the daemon is away", async (t) => {
    const { listen, server } = await start(t);
    const { written, outcome } = await watch(listen, [], 3, undefined, () => server.close());
    assert.equal(outcome.code, 0);
    assert.match(written[0] ?? "", / ready servers=1\/1 /);
    assert.match(written.at(-1) ?? "", /^\S+Z m2push does not answer at http/);
  });
});
