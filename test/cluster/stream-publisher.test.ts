/** Publications on their way into a stream whose answers the test decides. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { StreamPublisher } from "../../src/cluster/stream-publisher.js";
import type { OutgoingRecord, StreamSession } from "../../src/cluster/stream-session.js";
import { isUnavailable } from "../contract/bus.js";
import { FakeClock } from "../support/clock.js";

interface Sent extends OutgoingRecord {
  readonly store: (sequence: number) => void;
  readonly refuse: (error: Error) => void;
}

class FakeSession {
  readonly sent: Sent[] = [];

  send(record: OutgoingRecord): Promise<number> {
    return new Promise((store, refuse) => this.sent.push({ ...record, store, refuse }));
  }

  get texts(): string[] {
    return this.sent.map(({ data }) => JSON.parse(Buffer.from(data).toString()).data);
  }
}

function setUp() {
  const clock = new FakeClock();
  const reports: (string | undefined)[] = [];
  const publisher = new StreamPublisher(clock, "node", (why) => reports.push(why));
  const session = new FakeSession();
  const connect = (to = session) => publisher.connect(to as unknown as StreamSession, "e");
  const publish = (data: string) => publisher.publish({ topics: ["t"], data, private: false });
  return { clock, reports, publisher, session, connect, publish };
}

/** Lets the promises that are resolved reach their listeners. */
const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

describe("StreamPublisher", () => {
  test("probes with the oldest publication, then sends all in order, and resolves with the stream's sequences", async () => {
    const { publisher, connect, publish } = setUp();
    connect();
    publisher.disconnect("cable cut");
    const published = [publish("a"), publish("b"), publish("c")];
    const session = new FakeSession();
    connect(session);
    assert.deepEqual(session.texts, ["a"]);
    session.sent[0]?.store(7);
    await turn();
    assert.deepEqual(session.texts, ["a", "b", "c"]);
    session.sent[1]?.store(8);
    session.sent[2]?.store(9);
    assert.deepEqual(
      (await Promise.all(published)).map(({ offset }) => offset),
      [7, 8, 9],
    );
  });

  test("sends an unacknowledged publication again in a new session, with the same id", async () => {
    const { session, connect, publish, publisher } = setUp();
    connect();
    const published = publish("a");
    publisher.disconnect("cable cut");
    const next = new FakeSession();
    connect(next);
    assert.deepEqual(
      next.sent.map(({ id }) => id),
      session.sent.map(({ id }) => id),
    );
    next.sent[0]?.store(1);
    assert.equal((await published).offset, 1);
  });

  test("sends a refused publication again, alone, before its successors", async () => {
    const { clock, session, connect, publish } = setUp();
    connect();
    const published = [publish("a"), publish("b")];
    session.sent[0]?.refuse(new Error("no leader"));
    session.sent[1]?.refuse(new Error("no leader"));
    await turn();
    clock.advance(250);
    assert.deepEqual(session.texts, ["a", "b", "a"]);
    session.sent[2]?.store(1);
    await turn();
    assert.deepEqual(session.texts, ["a", "b", "a", "b"]);
    session.sent[3]?.store(2);
    assert.deepEqual(
      (await Promise.all(published)).map(({ offset }) => offset),
      [1, 2],
    );
  });

  test("rejects a publication whose successor was acknowledged first instead of storing it behind", async () => {
    const { clock, session, connect, publish } = setUp();
    connect();
    const [overtaken, successor] = [publish("a"), publish("b")];
    session.sent[1]?.store(1);
    assert.equal((await successor)?.offset, 1);
    session.sent[0]?.refuse(new Error("no leader"));
    await turn();
    clock.advance(250);
    await assert.rejects(overtaken, isUnavailable);
    assert.deepEqual(session.texts, ["a", "b"]);
  });

  test("rejects a publication without an acknowledgement after 5 s, and at once while long disconnected", async () => {
    const { clock, publisher, connect, publish } = setUp();
    connect();
    const published = publish("a");
    publisher.disconnect("cable cut");
    clock.advance(5500);
    await assert.rejects(published, /not acknowledged and may be lost: cable cut/);
    await assert.rejects(publish("b"), isUnavailable);
    assert.equal(clock.waiting, 0);
  });

  test("reports lasting refusals once a probe message shows their end", async () => {
    const { clock, reports, session, connect, publish } = setUp();
    connect();
    const published = publish("a");
    for (let attempt = 0; attempt < 16; attempt++) {
      session.sent.at(-1)?.refuse(new Error("disk full"));
      await turn();
      clock.advance(250);
    }
    assert.ok(reports.length > 0 && reports.every((why) => why === "disk full"));
    session.sent.at(-1)?.store(1);
    await published;
    assert.equal(reports.at(-1), undefined);
  });

  test("limits the messages in flight to 512", async () => {
    const { publisher, session, connect, publish } = setUp();
    connect();
    const published = Array.from({ length: 600 }, (_, number) => publish(`${number}`));
    assert.equal(session.sent.length, 512);
    for (const [index, sent] of session.sent.entries()) sent.store(index + 1);
    await turn();
    assert.equal(session.sent.length, 600);
    for (const [index, sent] of session.sent.entries()) sent.store(index + 1);
    await Promise.all(published);
    await publisher.drained();
  });

  test("rejects everything pending when it is closed, and leaves no timer", async () => {
    const { clock, publisher, connect, publish } = setUp();
    connect();
    const published = publish("a");
    const drained = publisher.drained();
    publisher.close();
    await assert.rejects(published, /the daemon is stopping/);
    await drained;
    assert.equal(clock.waiting, 0);
  });
});
