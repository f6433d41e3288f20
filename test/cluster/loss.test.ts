/** A stream that loses what it had, or is another one: over a stream in memory; time passes only while nothing else happens. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, type TestContext, test } from "node:test";
import type { ClusterOptions } from "../../src/cluster/open-cluster.js";
import { ids, isUnavailable, Listener, listen, readAll } from "../contract/bus.js";
import { eagerClock } from "../support/clock.js";
import { removeDirectory, temporaryDirectory } from "../support/processes.js";
import { openEnd } from "./course.js";
import { FakeStream } from "./fake-stream.js";

const clock = eagerClock();

async function attend(t: TestContext, stream: FakeStream, options: Partial<ClusterOptions> = {}) {
  const wire = stream.wire();
  const end = await openEnd(t, wire.dial, { clock, ...options });
  return listen({ open: async () => Object.assign(end, { wire }) }).then((listener) =>
    Object.assign(listener, { opened: end }),
  );
}

function folder(t: TestContext): string {
  const dir = temporaryDirectory();
  t.after(() => removeDirectory(dir));
  return dir;
}

describe("Loss", () => {
  test("who was away for longer than the stream holds is told, and goes on with what is left", async (t) => {
    const stream = new FakeStream(100);
    const [a, b] = [await attend(t, stream), await attend(t, stream)];
    await b.many(10);
    await a.hears(10);
    a.wire.cut();
    for (let event = 0; event < 300; event++) await b.publish();
    a.wire.restore();
    await a.hears(110);
    assert.deepEqual(a.gaps, ["expired"]);
    assert.deepEqual(ids(a.heard.slice(10)), ids(b.heard.slice(210)));
    assert.equal(a.end.history.floor, 210);
  });

  test("a stream that is purged goes on counting: who has heard everything misses nothing", async (t) => {
    const stream = new FakeStream();
    const [a, b] = [await attend(t, stream), await attend(t, stream)];
    await a.many(200);
    await b.hears(200);
    stream.purge();
    const { offset } = await b.publish();
    await Promise.all([a.hears(201), b.hears(201)]);
    assert.deepEqual([offset, a.gaps, b.gaps], [201, [], []]);
    const late = await attend(t, stream);
    assert.deepEqual([late.end.history.floor, ids(await readAll(late.end))], [200, ids(a.heard.slice(200))]);
  });

  test("a consumer that does not deliver the newest message is recreated", async (t) => {
    const stream = new FakeStream();
    const [a, b] = [await attend(t, stream), await attend(t, stream)];
    await a.many(10);
    await b.hears(10);
    stream.mumble();
    await a.publish();
    await Promise.all([a.hears(11), b.hears(11)]);
    assert.deepEqual(b.opened.warnings, ["recreated the JetStream consumer: it had stalled"]);
    assert.deepEqual([a.gaps, b.gaps], [[], []]);
  });

  test("when another server leads the stream it is followed there, and nobody misses anything", async (t) => {
    const stream = new FakeStream();
    const [a, b] = [await attend(t, stream), await attend(t, stream)];
    await a.many(10);
    stream.leader = "two";
    await b.opened.warned(/recreated the JetStream consumer: another server leads the stream/);
    await b.opened.up();
    await a.publish();
    await Promise.all([a.hears(11), b.hears(11)]);
    assert.deepEqual(ids(a.heard), ids(b.heard));
    assert.deepEqual([a.gaps, b.gaps], [[], []]);
  });

  test("a daemon that comes later counts what the stream holds once, and goes on counting", async (t) => {
    const stream = new FakeStream();
    const a = await attend(t, stream);
    await a.many(50);
    const late = await attend(t, stream);
    assert.equal(late.end.history.count, 50);
    await a.publish();
    await late.hears(1);
    assert.equal(late.end.history.count, 51);
  });

  test("a stream that lost events that it had acknowledged begins another epoch, and all are told", async (t) => {
    const stream = new FakeStream();
    const [a, b] = [await attend(t, stream), await attend(t, stream)];
    await a.many(20);
    await b.hears(20);
    const { epoch } = a.end.bus;
    stream.rollBack(12);
    const told = ({ gaps }: Listener) => gaps.length > 0;
    await Promise.all([a.until(told, "a gap"), b.until(told, "a gap")]);
    assert.deepEqual([a.gaps, b.gaps], [["unknown"], ["unknown"]]);
    await Promise.all([a.opened.up(), b.opened.up()]);
    assert.notEqual(a.end.bus.epoch, epoch);
    assert.equal(a.end.bus.epoch, b.end.bus.epoch);
    const published = await a.publish("after");
    await b.hears(21);
    assert.equal(b.heard.at(-1)?.id, published.id);
    assert.equal(await b.end.history.find(`#${epoch}.15`), undefined, "a position of the old epoch");
    assert.match([...a.opened.warnings, ...b.opened.warnings].join(), /lost events that it had acknowledged/);
  });

  test("a stream that was deleted is made again, with another epoch", async (t) => {
    const stream = new FakeStream();
    const a = await attend(t, stream);
    await a.many(20);
    await a.hears(20);
    stream.remove();
    await a.until(({ gaps }) => gaps.length > 0, "a gap");
    await a.opened.up();
    assert.deepEqual(a.gaps, ["unknown"]);
    const { id } = await a.publish("first");
    await a.hears(21);
    assert.equal(id, `#${a.end.bus.epoch}.1`);
  });

  test("what others write to the stream is left out, with a warning, and its position stays empty", async (t) => {
    const stream = new FakeStream();
    const a = await attend(t, stream);
    await a.publish();
    const { epoch } = a.end.bus;
    const foreign = [
      "not json",
      '{"v":1,"topics":[]}',
      '{"v":2,"topics":["t"],"data":"x"}',
      '{"v":1,"topics":["t"],"data":7}',
    ];
    for (const [at, text] of foreign.entries()) stream.add({ epoch, key: "0", id: `x${at}`, data: Buffer.from(text) });
    await a.publish();
    await a.hears(2);
    assert.deepEqual(a.offsets, [1, 6]);
    assert.match(a.opened.warnings.join(), /skipped message 2 of the stream/);
    assert.deepEqual(ids(await readAll(a.end)), ids(a.heard));
    const late = await attend(t, stream);
    assert.deepEqual(ids(await readAll(late.end)), ids(a.heard));
  });

  test("a daemon that knows its place starts while NATS is away, and hears later what it missed", async (t) => {
    const stream = new FakeStream();
    const dir = folder(t);
    const first = await attend(t, stream, { folder: dir });
    await first.many(10);
    await first.hears(10);
    await first.opened.close();
    const { epoch, last } = JSON.parse(readFileSync(join(dir, "cluster.json"), "utf8"));
    assert.deepEqual([epoch, last], [first.end.bus.epoch, 10]);
    const b = await attend(t, stream);
    await b.many(5);
    const wire = stream.wire();
    wire.cut();
    const end = await openEnd(t, wire.dial, { clock, folder: dir });
    const again = new Listener(end);
    await again.start();
    assert.deepEqual([end.bus.epoch, end.history.last], [epoch, 10]);
    await assert.rejects(again.publish(), isUnavailable);
    wire.restore();
    await again.hears(5);
    assert.deepEqual([ids(again.heard), again.gaps], [ids(b.heard), []]);
  });

  test("a daemon that knows no place waits for NATS, until it is told to stop", async (t) => {
    const stream = new FakeStream();
    const wire = stream.wire();
    wire.cut();
    const stop = new AbortController();
    const opening = openEnd(t, wire.dial, { clock, signal: stop.signal });
    stop.abort();
    await assert.rejects(opening, isUnavailable);
  });

  test("while the stream cannot be asked, who reads what only it has waits, and gets it then", async (t) => {
    const stream = new FakeStream();
    const a = await attend(t, stream);
    await a.many(700);
    await a.hears(700);
    a.wire.cut();
    let isThere = false;
    const reading = readAll(a.end).then((found) => {
      isThere = true;
      return found;
    });
    await assert.rejects(a.publish(), isUnavailable);
    assert.equal(isThere, false);
    a.wire.restore();
    assert.deepEqual(ids(await reading), ids(a.heard.slice(0, 700)));
  });
});
