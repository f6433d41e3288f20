/** From one daemon alone to a cluster: its past events are carried into the stream, and the browsers do not notice. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { describe, test } from "node:test";
import { damageBlock } from "../support/damage.js";
import { startNats } from "../support/nats.js";
import { startPair } from "../support/pair.js";
import { PROJECT, run } from "../support/processes.js";
import { openStream } from "../support/sse-client.js";

const PROGRAM = join(PROJECT, "dist/cli/main.js");
const numbers = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, index) => `${from + index}`);

describe("History, end to end", () => {
  test("a history is imported into a stream: a client that reconnects to the cluster receives what it missed, in order, once", async (t) => {
    const alone = await startPair(t);
    const client = await alone.stream();
    const publish = async (from: number, to: number) => {
      // Every other one has an id of its own.
      for (const data of numbers(from, to)) {
        await alone.publisher.publish(data, "news", Number(data) % 2 ? {} : { id: `urn:${data}` });
      }
      await client.until(({ events }) => events.length === to, `event ${to}`);
    };
    await publish(1, 1500);
    const quiet = await alone.stream();
    const quietId = quiet.lastEventId;
    await publish(1501, 2000);
    const idOf = (number: number) => client.events[number - 1]?.id ?? "";
    const all = client.events.map(({ id }) => id);
    assert.match(quietId, /^#\w+\.1500$/);
    const words = (action: string, file: string) => `"${process.execPath}" "${PROGRAM}" history ${action} -c "${file}"`;
    const busy = await run("sh", ["-c", words("export", alone.daemon.configFile)], alone.daemon.dir);
    assert.match(busy.output, /in use by the m2push with pid \d+: stop that first/);
    assert.equal(await alone.daemon.stop(), 0);

    const nats = await startNats(t);
    const cluster = await startPair(t, { config: { cluster: { nats: [nats.url] } } });
    await cluster.daemon.stop();
    const pipe = `${words("export", alone.daemon.configFile)} | ${words("import", cluster.daemon.configFile)}`;
    const { exit, output } = await run("sh", ["-c", pipe], alone.daemon.dir);
    assert.equal(exit.code, 0, output);
    assert.match(output, /^2000 events exported$/m);
    assert.match(output, /^2000 events imported$/m);
    await cluster.restart();

    const back = async (lastEventId: string, from: number) => {
      const stream = await openStream(`${cluster.mongrel2.url}/esupdates`, { "last-event-id": lastEventId });
      t.after(() => stream.close());
      await stream.until(({ events }) => events.at(-1)?.data === "2000", "the last event");
      assert.deepEqual(
        stream.events.map(({ type, id, data }) => [type, id, data]),
        numbers(from, 2000).map((data) => ["message", all[Number(data) - 1], data]),
      );
      return stream;
    };
    const returned = [await back(idOf(999), 1000), await back(idOf(1000), 1001), await back(quietId, 1501)];
    const first = returned[0]?.events[0]?.id ?? "";
    assert.equal(first, "urn:1000");
    returned.push(await back("earliest", 1));
    await cluster.publisher.publish("2001", "news");
    for (const stream of returned) assert.equal((await stream.next(({ data }) => data === "2001")).data, "2001");
  });

  test("a damaged block is logged, and a client that resumes from before it receives a gap event in its place", async (t) => {
    const pair = await startPair(t);
    const client = await pair.stream();
    for (let event = 1; event <= 100; event++) {
      await pair.publisher.publish(`${event}`, "news");
      await client.next(({ data }) => data === `${event}`);
    }
    const first = client.lastEventId.replace(/\d+$/, "1");
    await pair.daemon.stop();
    const { after, through } = await damageBlock(join(pair.daemon.dir, "data"));
    await pair.restart();
    const { msg } = await pair.daemon.logged(({ event }) => event === "history", "the damage");
    assert.match(`${msg}`, /^1 block of the history, .* is damaged: browsers that come back .* hear m2push-gap$/);
    const back = await pair.stream({ "last-event-id": first });
    await pair.publisher.publish("101", "news");
    await back.until(({ events }) => events.at(-1)?.data === "101", "the newest event");
    const [before, behind] = [numbers(2, after), numbers(through + 1, 101)];
    assert.deepEqual(
      back.events.map(({ type, data }) => (type === "m2push-gap" ? type : data)),
      [...before, "m2push-gap", ...behind],
    );
  });

  test("who reads an export and goes away early ends it without a word", async (t) => {
    const pair = await startPair(t);
    const client = await pair.stream();
    for (let event = 1; event <= 2000; event++) await pair.publisher.publish("x".repeat(1000));
    await client.until(({ events }) => events.length === 2000, "the last event");
    await pair.daemon.stop();
    const child = spawn(process.execPath, [PROGRAM, "history", "export", "-c", pair.daemon.configFile]);
    child.stdout.once("data", () => child.stdout.destroy());
    let said = "";
    child.stderr.on("data", (text) => {
      said += text;
    });
    const [code] = await once(child, "close");
    assert.deepEqual([code, said], [0, ""]);
  });
});
