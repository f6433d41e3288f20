/** What happens to real NATS servers, and what is kept of what they had acknowledged. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { DiscardPolicy, jetstreamManager } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";
import { assertRising, dataOf, ids, type Listener, readAll, texts } from "../contract/bus.js";
import { startNats } from "../support/nats.js";
import { assertOnce } from "../support/received.js";
import { daemon, load } from "./daemon.js";

describe("NATS faults", () => {
  test("a NATS server that is killed under load and comes again has everything that it acknowledged", async (t) => {
    const nats = await startNats(t);
    const [a, b] = [await daemon(t, nats.url), await daemon(t, nats.url)];
    const loads = [load(a, "a"), load(b, "b")];
    for (let time = 1; time <= 3; time++) {
      await b.hears(b.heard.length + 200);
      await nats.kill9();
      await nats.start();
    }
    await b.hears(b.heard.length + 200);
    const acknowledged = (await Promise.all(loads.map((it) => it.stop()))).flat();
    const last = await a.publish("last");
    const has = ({ heard }: Listener) => heard.some(({ id }) => id === last.id);
    await Promise.all([a.until(has, "the last"), b.until(has, "the last")]);
    const heard = new Set(texts(b.heard));
    assert.deepEqual(
      texts(acknowledged).filter((text) => !heard.has(text)),
      [],
    );
    assert.deepEqual(texts(a.heard), texts(b.heard));
    assertOnce(dataOf(a.heard), "stored");
    assertRising(a.offsets);
    assert.deepEqual([a.gaps, b.gaps], [[], []]);
  });

  test("a NATS server that comes again without its data begins another epoch, and all are told", async (t) => {
    const nats = await startNats(t);
    const [a, b] = [await daemon(t, nats.url), await daemon(t, nats.url)];
    await a.many(20);
    await b.hears(20);
    await nats.kill9();
    nats.forget();
    await nats.start();
    const told = ({ gaps }: Listener) => gaps.length > 0;
    await Promise.all([a.until(told, "a gap"), b.until(told, "a gap")]);
    await Promise.all([a.opened.up(), b.opened.up()]);
    assert.deepEqual([a.gaps, b.gaps], [["unknown"], ["unknown"]]);
    for (const { opened } of [a, b]) {
      const said = opened.warnings.filter((it) =>
        it.startsWith("the stream is not the one that was followed: NATS came"),
      );
      assert.equal(said.length, 1, opened.warnings.join("\n"));
    }
    assert.equal(a.end.bus.epoch, b.end.bus.epoch);
    const [one] = await Promise.all([a.publish(), b.hears(21)]);
    assert.equal(b.heard[20]?.id, one.id);
  });

  /** Reads the next three offsets until they are those: what was purged may be in memory for a moment. */
  async function reads({ end: { history } }: Listener, after: number, expected: readonly number[]): Promise<void> {
    for (const end = performance.now() + 10_000; ; ) {
      const { publications } = await history.read(after, { through: after + 3, maxBytes: 1e9 });
      const offsets = publications.map(({ offset }) => offset);
      if (offsets.join() === expected.join()) return;
      if (performance.now() > end) assert.deepEqual(offsets, expected);
      await new Promise<void>((resolve) => setImmediate(resolve));
    }
  }

  test("a stream that is purged by NATS' own tools goes on; deleted, it is made again and all are told", async (t) => {
    const nats = await startNats(t);
    const a = await daemon(t, nats.url);
    await a.many(200);
    await a.hears(200);
    const connection = await connect({ servers: nats.url });
    t.after(() => connection.close());
    const { streams } = await jetstreamManager(connection);
    await reads(a, 148, [149, 150, 151]);
    await streams.deleteMessage("test", 150);
    await reads(a, 148, [149, 151]);
    await streams.purge("test", { keep: 20 });
    await reads(a, 148, []);
    assert.equal(a.end.history.floor, 180);
    await reads(a, 180, [181, 182, 183]);
    await streams.purge("test");
    await reads(a, 180, []);
    assert.equal(a.end.history.floor, 200);
    await a.publish();
    await a.hears(201);
    assert.deepEqual([a.offsets.at(-1), a.gaps], [201, []]);
    const late = await daemon(t, nats.url);
    assert.deepEqual([late.end.history.floor, ids(await readAll(late.end))], [200, ids(a.heard.slice(200))]);
    await streams.delete("test");
    await a.until(({ gaps }) => gaps.length > 0, "a gap");
    await a.opened.up();
    await a.publish();
    await a.hears(202);
    assert.deepEqual([a.gaps, a.offsets.at(-1)], [["unknown"], 1]);
  });

  test("limits other than the stream has are warned of, and change nothing", async (t) => {
    const nats = await startNats(t);
    const a = await daemon(t, nats.url);
    assert.deepEqual(a.opened.warnings, []);
    const limits = { maxEvents: 5, maxAge: 60_000, maxBytes: 1000 };
    const b = await daemon(t, nats.url, { limits, replicas: 3 });
    assert.match(b.opened.warnings.join(), /max_msgs 1000000 \(configured: 5\).*max_age.*max_bytes.*num_replicas/);
    await b.many(20);
    const c = await daemon(t, nats.url);
    assert.equal((await readAll(c.end)).length, 20);
  });

  test("an event that is too large for NATS is refused for its size, and those after it are not", async (t) => {
    const nats = await startNats(t, { more: "max_payload: 2000" });
    const a = await daemon(t, nats.url);
    const large = a.publish("x".repeat(3000));
    const small = a.publish("x");
    await assert.rejects(large, { code: "too_large" });
    await small;
    await a.hears(1);
  });

  test("a stream that is full is told while it refuses, and its end without a publication", async (t) => {
    const nats = await startNats(t);
    const a = await daemon(t, nats.url);
    await a.many(20);
    const connection = await connect({ servers: nats.url });
    t.after(() => connection.close());
    const { streams } = await jetstreamManager(connection);
    const { config } = await streams.info("test");
    await streams.update("test", { ...config, max_msgs: 20, discard: DiscardPolicy.New });
    await assert.rejects(a.publish("refused"), { code: "unavailable", message: /maximum messages exceeded/ });
    assert.match(a.opened.refusals.at(-1) ?? "not told", /maximum messages exceeded/);
    await streams.update("test", { ...config, discard: DiscardPolicy.Old });
    await a.opened.storing();
    await a.publish("after");
    await a.hears(21);
    assert.match(texts(a.heard).at(-1) ?? "", /^data: after$/m);
    assert.deepEqual(a.gaps, []);
  });
});
