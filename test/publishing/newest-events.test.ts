import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import type { Publication } from "../../src/protocol/publication.js";
import { NewestEvents } from "../../src/publishing/newest-events.js";
import { MemoryHistory } from "../../src/storage/memory/memory-history.js";
import { FakeClock } from "../support/clock.js";

const MAX_EVENTS = 20;

const publication = (offset: number, topic: string): Publication => ({
  ...{ offset, id: `id${offset}`, topics: [topic, "alternate"], private: false, time: 0 },
  bytes: Buffer.from("x"),
});

/** A history of at most 20 events, and what its newest events should be. */
function setUp() {
  const history = new MemoryHistory({ maxEvents: MAX_EVENTS, maxAge: 1e12, maxBytes: 1e12 }, new FakeClock());
  let stored: (publication: Publication) => void = () => {};
  const newest = new NewestEvents({ history, watch: (published) => (stored = published) });
  const published: Publication[] = [];
  const publish = (topic: string) => {
    const next = publication(history.last + 1, topic);
    history.append(next);
    stored(next);
    published.push(next);
  };
  const expected = (topic: string) => published.slice(-MAX_EVENTS).findLast(({ topics }) => topics[0] === topic)?.id;
  return { history, newest, publish, expected, forget: () => published.pop() };
}

async function idOf(newest: NewestEvents, topic: string): Promise<string | undefined> {
  let found = newest.of(topic);
  while (found instanceof Promise) {
    await found;
    found = newest.of(topic);
  }
  return found.id;
}

describe("Newest events", () => {
  test("the newest stored event of each topic is known, before and after the stored events are read", async () => {
    const topic = fc.constantFrom("a", "b", "c", "d", "e", "f");
    await fc.assert(
      fc.asyncProperty(
        fc.array(topic, { maxLength: 60 }),
        fc.array(topic, { maxLength: 200 }),
        async (before, after) => {
          const { newest, publish, expected } = setUp();
          for (const it of before) publish(it);
          assert.equal(await idOf(newest, "a"), expected("a"));
          for (const it of after) {
            publish(it);
            assert.deepEqual(newest.of(it), { id: expected(it) });
          }
          for (const it of ["a", "b", "c", "d", "e", "f", "alternate"])
            assert.deepEqual(newest.of(it), { id: expected(it) });
        },
      ),
    );
  });

  test("events that are published while the stored events are read are not missed", async () => {
    const history = new MemoryHistory({ maxEvents: 10_000, maxAge: 1e12, maxBytes: 1e12 }, new FakeClock());
    for (let offset = 1; offset <= 5_000; offset++) history.append(publication(offset, `t${offset}`));
    const newest = new NewestEvents({ history, watch: () => {} });
    const reading = newest.of("t1");
    assert.ok(reading instanceof Promise);
    history.append(publication(5_001, "t1"));
    assert.equal(await idOf(newest, "t1"), "id5001");
  });

  test("many topics that come once leave again when their events are trimmed", async () => {
    const { newest, publish, expected } = setUp();
    await idOf(newest, "a");
    for (let event = 0; event < 5_000; event++) publish(`t${event}`);
    assert.deepEqual(newest.of("t1"), { id: undefined });
    assert.deepEqual(newest.of("t4999"), { id: expected("t4999") });
    assert.ok(newest.size <= 2 * MAX_EVENTS + 2, `${newest.size} topics are held`);
  });

  test("an event that was discarded is none: the older one of its topic counts again", async () => {
    const { history, newest, publish, expected, forget } = setUp();
    publish("a");
    assert.equal(await idOf(newest, "a"), "id1");
    publish("a");
    forget();
    // What a history does when a commit fails.
    const read = history.read.bind(history);
    history.read = (after, options) => {
      const page = read(after, options);
      return { ...page, publications: page.publications.filter(({ offset }) => offset !== 2) };
    };
    assert.equal(await idOf(newest, "a"), expected("a"));
  });

  test("nothing is watched before the first condition", async () => {
    const history = new MemoryHistory({ maxEvents: 10, maxAge: 1e12, maxBytes: 1e12 }, new FakeClock());
    let watchers = 0;
    const newest = new NewestEvents({ history, watch: () => watchers++ });
    assert.equal(watchers, 0);
    await idOf(newest, "a");
    await idOf(newest, "b");
    assert.equal(watchers, 1);
  });
});
