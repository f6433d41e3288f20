/** What every Bus promises (hub/bus.ts), together with the history that goes with it; each implementation runs this. */
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import type { History } from "../../src/delivery/history.js";
import { HistoryReader } from "../../src/delivery/history-reader.js";
import type { GapReason } from "../../src/delivery/reasons.js";
import { M2pushError, ProtocolError } from "../../src/errors.js";
import type { Bus } from "../../src/hub/bus.js";
import { offsetOf, positionId } from "../../src/protocol/position.js";
import type { Draft, Publication } from "../../src/protocol/publication.js";
import type { StoredKey } from "../../src/protocol/stored-key.js";
import { systemClock } from "../../src/util/clock.js";
import { Conditions } from "../../src/util/conditions.js";
import { Changes } from "../support/deadline.js";
import { keyNamed } from "./history.js";

/** One daemon's end of it. */
export interface End {
  readonly bus: Bus;
  readonly history: History;
  /** Resolves when it can publish, where that is not always so. */
  readonly up?: () => Promise<void>;
}

/** What lies between one end and what all ends share. */
interface Wire {
  /** Breaks, with the messages in flight, until it is restored. */
  cut(): void;
  /** Answers do not come back. */
  deafen(): void;
  /** Nothing passes, and nobody is told. */
  freeze(): void;
  restore(): void;
}

interface EndOptions {
  /** Messages that a daemon takes before it serves clients. */
  readonly warmupMessages?: number;
}

export interface Course {
  /** Opens an end that is not started; it is closed when the test ends. A bus that is alone is asked for one only. */
  open(options?: EndOptions): Promise<End & { readonly wire?: Wire }>;
}

interface CourseOptions {
  /** Limit of the events held; absent = none. */
  readonly maxEvents?: number;
}

export type OpenCourse = (t: TestContext, options: CourseOptions) => Promise<Course> | Course;

/** Takes part as a hub does, and remembers. */
export class Listener {
  readonly end: End;
  readonly heard: Publication[] = [];
  readonly gaps: GapReason[] = [];
  readonly #changes = new Changes();
  #count = 0;

  constructor(end: End) {
    this.end = end;
  }

  start(): Promise<void> {
    const { bus, history } = this.end;
    return bus.start(
      (publications) => {
        let kept: Promise<void> | undefined;
        for (const publication of publications) kept = history.append(publication);
        this.heard.push(...publications);
        this.#changes.tell();
        return kept;
      },
      (reason) => {
        this.gaps.push(reason);
        this.#changes.tell();
      },
    );
  }

  publish(data = `event ${++this.#count}`, more: { id?: string; storedKey?: StoredKey } = {}): Promise<Publication> {
    return this.end.bus.publish({ topics: ["t"], data, private: false, ...more });
  }

  /** Publishes this number of events at once. */
  many(count: number): Promise<Publication[]> {
    return Promise.all(Array.from({ length: count }, () => this.publish()));
  }

  /** Resolves when this number of events was received. */
  hears(count: number, ms?: number): Promise<void> {
    return this.until(() => this.heard.length >= count, `${count} events`, ms);
  }

  async until(look: (listener: this) => boolean, what: string, ms = 20_000): Promise<void> {
    const found = () => `; it heard ${this.heard.length}: ... ${ids(this.heard.slice(-5))}; gaps: ${this.gaps}`;
    await this.#changes.until(() => look(this), what, ms, found);
  }

  get offsets(): number[] {
    return this.heard.map(({ offset }) => offset);
  }
}

export const ids = (publications: readonly Publication[]): string[] => publications.map(({ id }) => id);

export async function listen(course: Course, options?: EndOptions) {
  const end = await course.open(options);
  const listener = new Listener(end);
  await listener.start();
  return Object.assign(listener, { wire: end.wire as Wire });
}

/** What clients get: ids may be positions, and say nothing of what is there. */
export const texts = (publications: readonly Publication[]): string[] =>
  publications.map(({ bytes }) => bytes.toString());

/** What their publishers wrote: two that say the same are one event that was stored twice, where each text is used once. */
export const dataOf = (publications: readonly Publication[]): string[] =>
  texts(publications).map((text) => /^data: (.*)$/m.exec(text)?.[1] ?? "");

/** Everything that a history holds after an offset, page by page, as the hub reads: a read that fails is retried. */
export async function readAll({ history }: End, after = history.floor, maxBytes = 3000): Promise<Publication[]> {
  const faults: string[] = [];
  const conditions = new Conditions(systemClock, ({ type, condition }) => faults.push(`${type}: ${condition.message}`));
  const reader = new HistoryReader(history, systemClock, conditions);
  try {
    return await pages(reader, after, maxBytes, faults);
  } finally {
    reader.close();
  }
}

async function pages(history: HistoryReader, after: number, maxBytes: number, faults: readonly string[]) {
  const found: Publication[] = [];
  for (let at = after; at < history.last; ) {
    const page = await history.read(at, () => ({ through: history.last, maxBytes }));
    assert.ok(!page.isUnavailable, `the history can be read after ${at}; ${faults.join("; ")}`);
    found.push(...page.publications);
    assert.ok(page.through > at, "a page gets on");
    at = page.through;
  }
  return found;
}

export function assertRising(offsets: readonly number[]): void {
  offsets.forEach((offset, at) => {
    assert.ok(at === 0 || offset > (offsets[at - 1] ?? 0), `${offset} after ${offsets[at - 1]}`);
  });
}

export const isUnavailable = (error: unknown) => error instanceof M2pushError && error.code === "unavailable";

/** What holds for every bus. */
export function busSuite(name: string, open: OpenCourse): void {
  const start = async (t: TestContext) => listen(await open(t, {}));

  test(`${name}: before it is started and after it is closed it takes nothing`, async (t) => {
    const end = await (await open(t, {})).open();
    const listener = new Listener(end);
    await assert.rejects(listener.publish(), isUnavailable);
    await listener.start();
    await listener.publish();
    await listener.hears(1); // it may be acknowledged first
    await end.bus.close();
    await assert.rejects(listener.publish(), isUnavailable);
    assert.equal(listener.heard.length, 1);
    const post = async () => end.bus.post({ topics: ["t"], data: "late", private: false });
    await assert.rejects(post, isUnavailable);
  });

  test(`${name}: what is posted comes between what is published, and is kept when that is over`, async (t) => {
    const listener = await start(t);
    const { bus, history } = listener.end;
    const post = (data: string) => bus.post({ topics: ["t"], data, private: false });
    const kept = [listener.publish("a"), post("b"), post("c"), listener.publish("d")];
    await Promise.all(kept);
    await listener.hears(4);
    const data = texts(await readAll(listener.end, 0)).map((text) => /data: (.*)/.exec(text)?.[1]);
    assert.deepEqual([data, history.count], [["a", "b", "c", "d"], 4]);
  });

  test(`${name}: what is published is delivered as it was, in the order in which it was published`, async (t) => {
    const listener = await start(t);
    const published = await listener.many(1000);
    await listener.hears(1000);
    assert.deepEqual(ids(listener.heard), ids(published));
    assertRising(listener.offsets);
    assert.deepEqual(
      texts(listener.heard),
      ids(published).map((id, at) => `id: ${id}\ndata: event ${at + 1}\n\n`),
    );
  });

  test(`${name}: the events of a batch follow each other, and each has its id`, async (t) => {
    const one = await listen(await open(t, {}));
    const draft = (data: string) => ({ topics: ["t"], data, private: false }) as const;
    const published = await one.end.bus.publishAll(["a", "b", "c"].map(draft));
    await one.hears(3);
    assert.deepEqual(
      published.map((it) => ("id" in it ? it.id : it.error)),
      ids(one.heard),
    );
    assert.deepEqual(
      one.heard.map(({ bytes }) => /data: (.*)/.exec(bytes.toString())?.[1]),
      ["a", "b", "c"],
    );
  });

  test(`${name}: an event has the id that its publisher gave it, or its position, never another's position`, async (t) => {
    const listener = await start(t);
    const { bus } = listener.end;
    assert.equal((await listener.publish("x", { id: "urn:ü:1" })).id, "urn:ü:1");
    const { id, offset } = await listener.publish();
    assert.equal(id, positionId(bus.epoch, offset));
    assert.equal(offsetOf(bus.epoch, id), offset);
    await assert.rejects(listener.publish("x", { id: positionId(bus.epoch, 3) }), ProtocolError);
    await listener.hears(2);
  });

  test(`${name}: what was delivered can be read again and found`, async (t) => {
    const listener = await start(t);
    await listener.many(50);
    const mine = await listener.publish("x", { id: "mine" });
    await listener.publish("y", { id: "mine" });
    await listener.hears(52);
    const { history } = listener.end;
    assert.deepEqual(ids(await readAll(listener.end)), ids(listener.heard));
    assert.deepEqual([await history.find("mine"), await history.find("never")], [mine.offset, undefined]);
    const third = listener.heard[2] as Publication;
    assert.equal(await history.find(third.id), third.offset);
  });
}

/** What holds besides when several daemons share it. */
export function sharedBusSuite(name: string, open: OpenCourse): void {
  test(`${name}: all daemons receive the same events in the same order`, async (t) => {
    const course = await open(t, {});
    const [a, b] = [await listen(course), await listen(course)];
    const published = await Promise.all([a.many(500), b.many(500)]);
    await Promise.all([a.hears(1000), b.hears(1000)]);
    assert.deepEqual(ids(a.heard), ids(b.heard));
    for (const own of published) assertRising(own.map(({ offset }) => offset));
  });

  test(`${name}: a daemon that starts later has the earlier events in its history`, async (t) => {
    const course = await open(t, {});
    const a = await listen(course);
    await a.publish("x", { id: "early" });
    await a.many(700);
    await a.hears(701);
    const b = await listen(course);
    assert.deepEqual(ids(await readAll(b.end)), ids(a.heard));
    assert.equal(await b.end.history.find("early"), a.heard[0]?.offset);
    await a.publish("live");
    await b.hears(1);
    assert.equal(b.heard[0]?.offset, a.heard[701]?.offset ?? b.heard[0]?.offset);
  });

  test(`${name}: an event with a key is published once, through whichever daemons its repeats come`, async (t) => {
    const course = await open(t, {});
    const [a, b] = [await listen(course), await listen(course)];
    const storedKey = keyNamed("a");
    const published = await Promise.all([a, b, a, b].map((it) => it.publish("once", { storedKey })));
    const [first] = published;
    assert.deepEqual(ids(published), [first?.id, first?.id, first?.id, first?.id]);
    await a.publish("last");
    await Promise.all([a.hears(2), b.hears(2)]);
    assert.equal((await b.publish("once", { storedKey })).id, first?.id);
    const other = { storedKey: keyNamed("a", { fingerprint: keyNamed("other").hash }) };
    for (const it of [a, b]) await assert.rejects(it.publish("other", other), { code: "key_reused" });
    assert.deepEqual(
      [dataOf(a.heard), dataOf(b.heard)],
      [
        ["once", "last"],
        ["once", "last"],
      ],
    );
  });

  test(`${name}: a repeat that the stream stores as a second message is skipped by every daemon`, async (t) => {
    const course = await open(t, {});
    const [a, b] = [await listen(course), await listen(course)];
    // The message id has the fingerprint: so the stream takes both, as beyond its window for duplicates.
    const keyOf = (content: string) => ({ storedKey: keyNamed("a", { fingerprint: keyNamed(content).hash }) });
    const outcomes = await Promise.allSettled([a.publish("x", keyOf("x")), b.publish("y", keyOf("y"))]);
    assert.deepEqual(outcomes.map(({ status }) => status).sort(), ["fulfilled", "rejected"]);
    await a.publish("last");
    await Promise.all([a.hears(2), b.hears(2)]);
    const c = await listen(course);
    assert.deepEqual(dataOf(a.heard), dataOf(b.heard));
    assert.deepEqual(dataOf(await readAll(c.end, 0)), dataOf(a.heard));
  });

  test(`${name}: a daemon that starts later knows the keys, and the key of a batch is that of its events`, async (t) => {
    const course = await open(t, {});
    const a = await listen(course);
    const drafts = ["1", "2", "3"].map((data) => ({ topics: ["t"], data, private: false }) as const);
    const batch = [{ ...drafts[0], storedKey: keyNamed("a", { count: 3 }) }, ...drafts.slice(1)] as Draft[];
    const idsOf = (published: readonly object[]) => published.map((it) => ("id" in it ? it.id : it));
    const first = idsOf(await a.end.bus.publishAll(batch));
    await a.many(300);
    const b = await listen(course);
    assert.deepEqual(idsOf(await b.end.bus.publishAll(batch)), first);
    await a.hears(303);
    assert.deepEqual([a.heard.length, (await readAll(b.end, 0)).length], [303, 303]);
  });

  test(`${name}: a daemon that is disconnected publishes nothing that has a key`, async (t) => {
    const course = await open(t, {});
    const a = await listen(course);
    await a.publish("x", { storedKey: keyNamed("a") });
    a.wire.cut();
    await assert.rejects(a.publish("y", { storedKey: keyNamed("b") }), isUnavailable);
    a.wire.restore();
  });

  test(`${name}: a daemon that starts later knows of final events that it does not take`, async (t) => {
    const course = await open(t, {});
    const a = await listen(course);
    await a.publish();
    const b = await listen(course, { warmupMessages: 5 });
    assert.deepEqual([a.end.history.hasFinal, b.end.history.hasFinal], [false, false]);
    await a.end.bus.publish({ topics: ["t"], data: "the end", private: false, final: true });
    await a.many(20);
    await a.hears(22);
    const c = await listen(course, { warmupMessages: 5 });
    assert.deepEqual([a.end.history.hasFinal, c.end.history.hasFinal], [true, true]);
    assert.deepEqual(dataOf(await readAll(c.end, 0)), dataOf(a.heard));
  });

  test(`${name}: what is trimmed is before the floor, and nobody finds it`, async (t) => {
    const course = await open(t, { maxEvents: 100 });
    const a = await listen(course);
    const first = await a.publish("x", { id: "early" });
    await a.many(900);
    const b = await listen(course);
    const kept = await readAll(b.end);
    assert.equal(kept.length, 100);
    assert.equal(b.end.history.floor, (kept[0]?.offset ?? 0) - 1);
    assert.deepEqual([await b.end.history.find("early"), await b.end.history.find(first.id)], [undefined, undefined]);
  });

  test(`${name}: a wire that breaks under load loses nothing that was acknowledged, and doubles nothing`, async (t) => {
    const course = await open(t, {});
    const [a, b] = [await listen(course), await listen(course)];
    const published: Promise<Publication>[] = [];
    for (let round = 0; round < 5; round++) {
      for (let event = 0; event < 100; event++) published.push(a.publish(), b.publish());
      a.wire.cut();
      await b.publish();
      a.wire.restore();
    }
    const acknowledged = await Promise.all(published);
    await Promise.all([a.hears(1005), b.hears(1005)]);
    assert.deepEqual(ids(a.heard), ids(b.heard));
    assert.equal(a.heard.length, 1005);
    assertRising(a.offsets);
    assertRising(acknowledged.filter((_, at) => at % 2 === 0).map(({ offset }) => offset));
    assert.equal(new Set(ids([...acknowledged])).size, 1000);
    assert.deepEqual(a.gaps, []);
  });

  test(`${name}: an acknowledgement that is lost is had by asking again: the event is stored once`, async (t) => {
    const course = await open(t, {});
    const [a, b] = [await listen(course), await listen(course)];
    await a.publish("first");
    a.wire.deafen();
    const published = a.many(20);
    await b.hears(21);
    a.wire.cut();
    a.wire.restore();
    const acknowledged = await published;
    await Promise.all([a.hears(21), b.publish("last").then(() => b.hears(22))]);
    assert.deepEqual(ids(acknowledged), ids(b.heard.slice(1, 21)));
    assert.equal(b.heard.length, 22);
  });

  for (const fault of ["cut", "freeze"] as const) {
    test(`${name}: who is cut off (${fault}) refuses what cannot be acknowledged, and hears later what it missed`, async (t) => {
      const course = await open(t, {});
      const [a, b] = [await listen(course), await listen(course)];
      await a.publish("both");
      a.wire[fault]();
      await assert.rejects(a.publish("never or late"), isUnavailable);
      await b.many(600);
      await assert.rejects(a.publish("neither"), isUnavailable);
      a.wire.restore();
      await b.hears(601);
      await a.until(({ heard }) => heard.some(({ id }) => id === b.heard.at(-1)?.id), "what it missed");
      await a.end.up?.();
      const back = await a.publish("back");
      await b.until(({ heard }) => heard.some(({ id }) => id === back.id), "the event of who is back");
      await a.until(({ heard }) => heard.some(({ id }) => id === back.id), "its own event");
      assert.deepEqual(ids(a.heard), ids(b.heard));
      assertRising(a.offsets);
      assert.deepEqual([a.gaps, b.gaps], [[], []]);
    });
  }
}
