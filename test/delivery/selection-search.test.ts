import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { ReadOptions } from "../../src/delivery/history.js";
import { HistoryReader } from "../../src/delivery/history-reader.js";
import { Registry } from "../../src/delivery/registry.js";
import type { SelectionRequest } from "../../src/delivery/selection.js";
import { DEFAULT_SELECTION_LIMITS, type Selection, SelectionSearch } from "../../src/delivery/selection-search.js";
import { TopicOffsets } from "../../src/delivery/topic-offsets.js";
import { VisibleHistory } from "../../src/delivery/visible-history.js";
import { ANY, parseSelector, type Selector } from "../../src/matching/selector.js";
import { positionDraft } from "../../src/protocol/position.js";
import type { Publication } from "../../src/protocol/publication.js";
import { MemoryHistory } from "../../src/storage/memory/memory-history.js";
import { FakeClock } from "../support/clock.js";
import { RecordingOutlet } from "../support/outlet.js";

const BASE = "http://hub.example/";
const LATEST: SelectionRequest = { kind: "latest" };
const last = (count: number): SelectionRequest => ({ kind: "last", count });
const exact = (value: string): Selector => ({ kind: "exact", value });

function deferred() {
  let resolve = () => {};
  const promise = new Promise<void>((done) => {
    resolve = done;
  });
  return { promise, resolve };
}

interface Asked {
  readonly selectors: readonly Selector[];
  readonly grants?: readonly Selector[];
  readonly request?: SelectionRequest;
  readonly maxScan?: number;
  readonly maxEvents?: number;
  /** Of each slice, units. */
  readonly units?: number;
}

/** A history with an index, and a search in it. */
function setUp() {
  const clock = new FakeClock();
  const stored = new MemoryHistory({ maxEvents: 100_000, maxAge: 1e12, maxBytes: 1e12 }, clock);
  const history = new VisibleHistory(stored, clock);
  const topics = new TopicOffsets(history);
  const rules = { hasTokenTopics: true, needsToken: (names: readonly string[]) => names.includes("members") };
  const registry = new Registry(new RecordingOutlet(clock), BASE, { rules });
  let clients = 0;
  const publish = (names: readonly string[], { isPrivate = false, ttlMs = 0 } = {}) => {
    const draft = { topics: names as [string], data: "x", private: isPrivate, ...(ttlMs > 0 && { ttlMs }) };
    const publication = positionDraft(draft, history.epoch, history.last + 1, clock.now());
    void history.append(publication);
    topics.published(publication);
    return publication.offset;
  };
  const search = async ({ selectors, grants = [], request = LATEST, units = 1e6, ...own }: Asked) => {
    const interest = { selectors, grants };
    const { audience } = registry.add({ id: ++clients, remote: "", since: 0, interest });
    const it = new SelectionSearch(
      interest,
      { request, join: history.last },
      {
        ...{ topics, history: new HistoryReader(history, clock), base: BASE },
        limits: { ...DEFAULT_SELECTION_LIMITS, ...own },
        trial: (publication) => registry.trial(audience, publication),
        mustTry: () => registry.mayBar(audience),
      },
    );
    let slices = 0;
    let found: Selection | undefined;
    while (!found) {
      slices++;
      const result = it.run({ left: units });
      if (result instanceof Promise) await result;
      else found = result;
    }
    return { ...found, slices };
  };
  return { clock, history, topics, publish, search };
}

describe("SelectionSearch", () => {
  test("looks only at topics with the literal beginning of a template", async () => {
    const { publish, search } = setUp();
    for (let topic = 1; topic <= 1000; topic++) publish([`other/${topic}`]);
    const books = ["books/1", "books/2", "books/2/x", "books/{id}"].map((topic) => publish([topic]));
    const selectors = [parseSelector("template", "books/{id}", BASE)];
    const { offsets, isCut } = await search({ selectors, maxScan: 4 });
    assert.deepEqual([offsets, isCut], [[books[0], books[1], books[3]], false]);
    assert.equal((await search({ selectors, maxScan: 3 })).isCut, true);
  });

  test("finds every spelling of a topic that a URL pattern matches", async () => {
    const { publish, search } = setUp();
    const offsets = ["books/1", "/books/2", "http://hub.example/books/3", "HTTP://HUB.example/books/4"].map((it) =>
      publish([it]),
    );
    publish(["http://other.example/books/5"]);
    const found = await search({ selectors: [parseSelector("urlpattern", "/books/:id", BASE)] });
    assert.deepEqual(found.offsets, offsets);
  });

  test("gives the newest events and is cut where more are wanted than it may give", async () => {
    const { publish, search } = setUp();
    for (let topic = 1; topic <= 10; topic++) publish([`t/${topic}`]);
    assert.deepEqual(await search({ selectors: [ANY], maxEvents: 3 }), { offsets: [8, 9, 10], isCut: true, slices: 3 });
    assert.equal((await search({ selectors: [ANY], maxEvents: 10 })).isCut, false);
    const few = await search({ selectors: [ANY], request: last(3), maxEvents: 3 });
    assert.deepEqual([few.offsets, few.isCut], [[8, 9, 10], false]);
    assert.equal((await search({ selectors: [ANY], request: last(4), maxEvents: 3 })).isCut, true);
    assert.equal((await search({ selectors: [ANY], request: last(400), maxEvents: 10 })).isCut, false);
  });

  test("gives an event of several topics once", async () => {
    const { publish, search } = setUp();
    publish(["a"]);
    const both = publish(["a", "b"]);
    const selectors = [exact("a"), exact("b")];
    assert.deepEqual((await search({ selectors })).offsets, [both]);
    assert.deepEqual((await search({ selectors, request: last(5) })).offsets, [1, 2]);
  });

  test("passes over private events that no grant covers, and gives up after too many", async () => {
    const { publish, search } = setUp();
    const seen = publish(["a"]);
    const shared = publish(["a", "b"], { isPrivate: true });
    for (let event = 1; event <= 5; event++) publish(["a"], { isPrivate: true });
    const newest = seen + 6;
    const selectors = [exact("a")];
    assert.deepEqual((await search({ selectors })).offsets, [seen]);
    assert.deepEqual((await search({ selectors, grants: [exact("a")] })).offsets, [newest]);
    assert.deepEqual((await search({ selectors, grants: [exact("b")] })).offsets, [shared], "by its other topic");
    const cut = await search({ selectors, maxScan: 3 });
    assert.deepEqual([cut.offsets, cut.isCut], [[], true]);
  });

  test("passes over an event that has expired: the one before it counts again", async () => {
    const { clock, publish, search } = setUp();
    const before = publish(["a"]);
    const expiring = publish(["a"], { ttlMs: 1000 });
    const selectors = [exact("a")];
    assert.deepEqual((await search({ selectors })).offsets, [expiring]);
    clock.advance(1000);
    assert.deepEqual((await search({ selectors })).offsets, [before]);
  });

  test("passes over an event that was removed: the one before it counts again", async () => {
    const { history, topics, publish, search } = setUp();
    const before = publish(["a"]);
    const removed = publish(["a"]);
    const selectors = [exact("a")];
    assert.deepEqual((await search({ selectors })).offsets, [removed]);
    const read = history.read.bind(history);
    history.read = (after, { match, ...options }) =>
      read(after, { ...options, match: (it) => it.offset !== removed && match?.(it) !== false });
    topics.removed(removed + 1);
    assert.deepEqual((await search({ selectors })).offsets, [before]);
  });

  test("passes over events of a topic that needs a token, for clients without one", async () => {
    const { publish, search } = setUp();
    const open = publish(["a"]);
    const members = publish(["a", "members"]);
    const selectors = [exact("a")];
    assert.deepEqual((await search({ selectors })).offsets, [open]);
    assert.deepEqual((await search({ selectors, grants: [exact("none")] })).offsets, [members]);
  });

  test("goes on in small slices, also while topics come and the index is made again", async () => {
    const { topics, publish, search } = setUp();
    for (let topic = 1; topic <= 300; topic++) publish([`t/${topic}`]);
    const searching = search({ selectors: [parseSelector("template", "t/{id}", BASE)], units: 1 });
    publish(["t/new"]);
    topics.reset();
    const { offsets, slices } = await searching;
    assert.equal(offsets.length, 300);
    assert.ok(slices >= 300, `${slices} slices`);
  });

  test("does not go on before the event that it waits for was read", async () => {
    const { history, topics, publish } = setUp();
    const offset = publish(["a"], { ttlMs: 1000 });
    await topics.ready();
    const { promise: later, resolve } = deferred();
    const reader = {
      read: async (after: number, begin: () => ReadOptions) => {
        await later;
        return history.read(after, begin());
      },
    } as unknown as HistoryReader;
    const registry = new Registry(new RecordingOutlet(new FakeClock()), BASE);
    const interest = { selectors: [exact("a")], grants: [] };
    const { audience } = registry.add({ id: 1, remote: "", since: 0, interest });
    const trial = (publication: Publication) => registry.trial(audience, publication);
    const options = { topics, history: reader, base: BASE, limits: DEFAULT_SELECTION_LIMITS, trial };
    const it = new SelectionSearch(interest, { request: LATEST, join: history.last }, options);
    const waiting = it.run({ left: 1e6 });
    assert.ok(waiting instanceof Promise);
    assert.equal(it.run({ left: 1e6 }), waiting);
    resolve();
    await waiting;
    assert.deepEqual(it.run({ left: 1e6 }), { offsets: [offset], isCut: false });
  });
});
