/** `m2push subscribe`, the built program, against Mongrel2 and the daemon. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { describe, type TestContext, test } from "node:test";
import { Changes } from "../support/deadline.js";
import { type Pair, pairOfSuite } from "../support/pair.js";
import { Child, PROJECT, run } from "../support/processes.js";

const PROGRAM = join(PROJECT, "dist/cli/main.js");
const KEY = "a secret of the hub that is long enough";

describe("m2push subscribe, end to end", () => {
  const pair = pairOfSuite({ config: { auth: { publisher_key: KEY, anonymous: true }, stream: { retry: "100ms" } } });
  const hub = ({ mongrel2 }: Pair) => `${mongrel2.url}/.well-known/mercure`;

  /** Starts it, and resolves when the daemon has counted its stream. */
  async function subscriber(t: TestContext, args: readonly string[], env: NodeJS.ProcessEnv = process.env) {
    const from = pair().daemon.log.length;
    const child = new Child(process.execPath, [PROGRAM, "subscribe", hub(pair()), ...args], pair().dir, env);
    t.after(() => child.kill9());
    const changes = new Changes();
    child.process.stdout?.on("data", () => changes.tell());
    await pair().daemon.logged(({ event }) => event === "connect", "the subscriber", { from });
    const lines = (count: number) =>
      changes.until(
        () => (child.stdout.split("\n").length > count ? child.stdout.trimEnd().split("\n") : undefined),
        `${count} lines`,
        20_000,
        () => child.stdout + child.stderr,
      );
    return { child, lines };
  }

  test("prints events through a restart of Mongrel2, none twice, and ends with 0 at SIGINT", async (t) => {
    const { child, lines } = await subscriber(t, ["-t", "news"]);
    await pair().publisher.publish("one", "news");
    await pair().publisher.publish("other", "weather");
    await pair().publisher.publish("two", "news");
    assert.deepEqual(await lines(2), ["one", "two"]);
    await pair().mongrel2.kill9();
    await pair().publisher.publish("three", "news");
    await pair().mongrel2.restart();
    assert.deepEqual(await lines(3), ["one", "two", "three"]);
    child.signal("SIGINT");
    assert.deepEqual(await child.exited, { code: 0, signal: null });
    for (const line of child.stderr.trimEnd().split("\n"))
      assert.match(line, /^m2push: .*; connecting again in \d\.\d s$/);
  });

  test("gets private events with a token that m2push token made, and the state at once; a bad token is one line", async (t) => {
    const made = await run(
      process.execPath,
      [PROGRAM, "token", "make", "--subscribe", "secret/{id}", "-c", pair().daemon.configFile],
      pair().dir,
    );
    const token = made.output.trim();
    await pair().publisher.publish("before", "secret/1", { private: true });
    const env = { ...process.env, M2PUSH_TOKEN: token };
    const { child, lines } = await subscriber(t, ["-t", "secret/{id}", "--last", "1", "--json", "--count", "2"], env);
    await lines(1);
    await pair().publisher.publish("after", "secret/2", { private: true, type: "x" });
    const events = (await lines(2)).map((line) => JSON.parse(line));
    assert.deepEqual(
      events.map(({ type, data }) => [type, data]),
      [
        ["message", "before"],
        ["x", "after"],
      ],
    );
    assert.match(events[1].id, /^#\w+\.\d+$/);
    assert.deepEqual(await child.exited, { code: 0, signal: null });

    const refused = await run(
      process.execPath,
      [PROGRAM, "subscribe", hub(pair()), "--token", `${token}x`],
      pair().dir,
    );
    assert.equal(refused.exit.code, 1);
    assert.match(refused.output, /^m2push: http:\/\/.* answered 401: .*; fix: pass a token that this hub accepts\n$/);
  });

  test("--exec: a command gets each event, in order, and may publish it again with another m2push", async (t) => {
    const { lines } = await subscriber(t, ["-t", "copied"]);
    const again = `exec "${process.execPath}" "${PROGRAM}" publish -t copied --zmq ${pair().publishSpec} "$M2PUSH_TOPIC $(cat)" > ids`;
    await subscriber(t, ["-t", "original", "--exec", again]);
    await pair().publisher.publish("1", "original");
    await pair().publisher.publish("2", "original");
    assert.deepEqual(await lines(2), ["original 1", "original 2"]);
  });
});
