import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import type { ReadOptions } from "../../src/delivery/history.js";
import { TopicOffsets } from "../../src/delivery/topic-offsets.js";
import type { Publication } from "../../src/protocol/publication.js";
import { MemoryHistory } from "../../src/storage/memory/memory-history.js";
import { FakeClock } from "../support/clock.js";

const MAX_EVENTS = 20;

const publication = (offset: number, topics: readonly string[], isPrivate = false): Publication => ({
  ...{ offset, id: `id${offset}`, topics, private: isPrivate, time: 0 },
  bytes: Buffer.from("x"),
});

/** A history of at most 20 events, and what the index should hold of it. */
function setUp(maxEvents = MAX_EVENTS) {
  const history = new MemoryHistory({ maxEvents, maxAge: 1e12, maxBytes: 1e12 }, new FakeClock());
  const topics = new TopicOffsets(history);
  const published: Publication[] = [];
  const publish = (...named: string[]) => {
    const next = publication(history.last + 1, named);
    history.append(next);
    topics.published(next);
    published.push(next);
  };
  const stored = () => published.slice(-maxEvents);
  const expected = (topic: string) => stored().findLast((it) => it.topics[0] === topic)?.id;
  const offsets = (topic: string) =>
    stored()
      .filter((it) => it.topics.includes(topic))
      .map(({ offset }) => offset)
      .reverse();
  return { history, topics, publish, expected, offsets };
}

async function newestOf(topics: TopicOffsets, topic: string): Promise<string | undefined> {
  let found = topics.newestOf(topic);
  while (found instanceof Promise) {
    await found;
    found = topics.newestOf(topic);
  }
  return found.id;
}

/** The newest first. */
function offsetsIn(topics: TopicOffsets, topic: string, through?: number): number[] {
  const offsets: number[] = [];
  let entry = topics.newest(topic, through);
  for (; entry; entry = topics.newest(topic, entry.offset - 1)) offsets.push(entry.offset);
  return offsets;
}

describe("TopicOffsets", () => {
  test("holds the stored events of each topic, before and after the stored events are read", async () => {
    const names = fc.uniqueArray(fc.constantFrom("a", "b", "c", "d", "e", "f"), { minLength: 1, maxLength: 3 });
    await fc.assert(
      fc.asyncProperty(
        fc.array(names, { maxLength: 60 }),
        fc.array(names, { maxLength: 200 }),
        fc.nat(250),
        async (before, after, through) => {
          const { topics, publish, expected, offsets } = setUp();
          for (const it of before) publish(...it);
          assert.equal(await newestOf(topics, "a"), expected("a"));
          for (const it of after) {
            publish(...it);
            assert.deepEqual(topics.newestOf(it[0] ?? ""), { id: expected(it[0] ?? "") });
          }
          for (const it of ["a", "b", "c", "d", "e", "f", "none"]) {
            assert.deepEqual(topics.newestOf(it), { id: expected(it) });
            assert.deepEqual(offsetsIn(topics, it), offsets(it));
            assert.deepEqual(
              offsetsIn(topics, it, through),
              offsets(it).filter((offset) => offset <= through),
            );
          }
        },
      ),
    );
  });

  test("tells private events, those that expire, and whether the topic is the canonical one", async () => {
    const { history, topics } = setUp();
    history.append(publication(1, ["a", "b", "a"], true));
    history.append({ ...publication(2, ["b"]), expiresAt: 1e13 });
    await topics.ready();
    assert.deepEqual(
      [...topics.newestFirst("a")],
      [{ offset: 1, isPrivate: true, isCanonical: true, mayBeGone: false }],
    );
    assert.deepEqual(
      [...topics.newestFirst("b")],
      [
        { offset: 2, isPrivate: false, isCanonical: true, mayBeGone: true },
        { offset: 1, isPrivate: true, isCanonical: false, mayBeGone: false },
      ],
    );
  });

  test("events that are published while the stored events are read are not missed", async () => {
    const { history, topics, publish } = setUp(10_000);
    for (let event = 1; event <= 5_000; event++) publish(`t${event}`);
    const reading = topics.newestOf("t1");
    assert.ok(reading instanceof Promise);
    history.append(publication(5_001, ["t1"]));
    assert.equal(await newestOf(topics, "t1"), "id5001");
  });

  test("many topics that come once leave again when their events are trimmed", async () => {
    const { topics, publish, expected } = setUp();
    await topics.ready();
    for (let event = 0; event < 5_000; event++) publish(`t${event}`, `alternate${event}`);
    assert.deepEqual(topics.newestOf("t1"), { id: undefined });
    assert.deepEqual(topics.newestOf("t4999"), { id: expected("t4999") });
    assert.ok(topics.size <= 4 * MAX_EVENTS + 4, `${topics.size} topics are held`);
  });

  test("an event that is not there any more is passed over", async () => {
    const { history, topics, publish } = setUp();
    publish("a");
    assert.equal(await newestOf(topics, "a"), "id1");
    publish("a");
    const read = history.read.bind(history);
    history.read = (after, options) => {
      const page = read(after, options);
      return { ...page, publications: page.publications.filter(({ offset }) => offset !== 2) };
    };
    assert.equal(await newestOf(topics, "a"), "id1");
  });

  test("a reset while the stored events are read starts again", async () => {
    const { history, topics, publish } = setUp(10_000);
    for (let event = 1; event <= 1_000; event++) publish("a");
    const reads: number[] = [];
    const read = history.read.bind(history);
    history.read = (after, options) => {
      reads.push(after);
      return read(after, options);
    };
    const building = topics.ready();
    topics.reset();
    await building;
    assert.ok(topics.ready(), "the first reading does not count");
    assert.equal(await newestOf(topics, "a"), "id1000");
    assert.deepEqual(
      reads.filter((after) => after === 0),
      [0, 0],
    );
  });

  test("finds topics by their beginning, those that come and go included", async () => {
    const { history, topics, publish } = setUp(1_000);
    for (let event = 1; event <= 600; event++) publish(`books/${event}`);
    const sorting = topics.sorted();
    publish("books/new", "news");
    await sorting;
    while (topics.sorted()) await topics.sorted();
    assert.equal(topics.withPrefix("books/", "", 1_000).length, 601);
    assert.deepEqual(topics.withPrefix("books/59", "books/598", 10), ["books/599"]);
    assert.deepEqual(topics.withPrefix("new", "", 10), ["news"]);
    for (let event = 0; event < 2_000; event++) publish("other");
    assert.equal(history.floor, 1_601);
    assert.deepEqual(topics.withPrefix("books/", "", 1_000), []);
    publish("books/again");
    assert.deepEqual(topics.withPrefix("", "", 10), ["books/again", "other"]);
  });

  test("is built from a history that answers later, as in a cluster, while others publish", async () => {
    const { history, topics, publish, offsets } = setUp(10_000);
    for (let event = 1; event <= 1_000; event++) publish(`t${event % 10}`);
    let publishedMeanwhile = 0;
    const read = history.read.bind(history);
    history.read = ((after: number, options: ReadOptions) =>
      new Promise((resolve) => {
        const page = read(after, options);
        setImmediate(() => {
          if (publishedMeanwhile++ < 10) publish("t1", "late");
          resolve(page);
        });
      })) as unknown as typeof read;
    await topics.ready();
    assert.equal(topics.ready(), undefined);
    assert.deepEqual(offsetsIn(topics, "t1"), offsets("t1"));
    assert.deepEqual(offsetsIn(topics, "late"), offsets("late"));
    assert.throws(() => topics.newestOf("t1"), TypeError);
  });

  test("nothing is read before the first question", async () => {
    const { history, topics, publish } = setUp();
    history.read = () => assert.fail("the history was read");
    publish("a");
    assert.equal(topics.size, 0);
  });
});
