/** keep = "last": the newest event of a topic outlives the limits of the history, in memory and in LMDB. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { describe, type TestContext, test } from "node:test";
import fc from "fast-check";
import type { History } from "../../src/delivery/history.js";
import { KeptTopics } from "../../src/delivery/kept-topics.js";
import { TopicOffsets } from "../../src/delivery/topic-offsets.js";
import { VisibleHistory } from "../../src/delivery/visible-history.js";
import { TopicRules } from "../../src/matching/topic-rules.js";
import { positionDraft, positionRemoval } from "../../src/protocol/position.js";
import type { Publication } from "../../src/protocol/publication.js";
import { openLmdbHistory } from "../../src/storage/lmdb/lmdb-history.js";
import { MemoryHistory } from "../../src/storage/memory/memory-history.js";
import { load } from "../config/harness.js";
import { FakeClock } from "../support/clock.js";
import { removeDirectory, temporaryDirectory } from "../support/processes.js";

const LIMITS = { maxEvents: 5, maxAge: 1e12, maxBytes: 1e12 };
const BASE = "http://hub.example/";
const KEEP = '[[topic]]\ntemplate = "kept/{id}"\nkeep = "last"\n';
const rulesOf = (toml: string) => new TopicRules(load(toml).config.topic, BASE);

type Open = (clock: FakeClock) => Promise<History>;

/** A history of at most five events, the index of its topics, and everything that was published. */
class World {
  readonly clock = new FakeClock();
  readonly rules = rulesOf(KEEP);
  readonly #open: Open;
  readonly #published: Publication[] = [];
  #history!: VisibleHistory;
  #offsets!: TopicOffsets;

  private constructor(open: Open) {
    this.#open = open;
  }

  static async open(open: Open): Promise<World> {
    const world = new World(open);
    await world.start();
    return world;
  }

  get history(): VisibleHistory {
    return this.#history;
  }

  /** Also after close(): as the next process would. */
  async start(): Promise<void> {
    this.#history = new VisibleHistory(await this.#open(this.clock), this.clock);
    this.#offsets = new TopicOffsets(this.#history, this.rules);
    this.#history.keep(new KeptTopics(this.rules, this.#offsets));
    await this.#offsets.ready();
  }

  async restart(): Promise<void> {
    await this.#history.close();
    await this.start();
  }

  publish(topics: readonly string[], ttlMs?: number, id?: string): void {
    const { epoch, last } = this.#history;
    const draft = {
      ...{ topics: topics as [string], data: "x", private: false },
      ...(ttlMs !== undefined && { ttlMs }),
      ...(id !== undefined && { id }),
    };
    const publication = positionDraft(draft, epoch, last + 1, this.clock.now());
    void this.#history.append(publication);
    this.#offsets.published(publication);
    this.#history.commit();
    this.#published.push(publication);
  }

  /** What the index and the history say is the newest event of a topic. */
  async latest(topic: string): Promise<number | undefined> {
    await this.#offsets.ready();
    for (const { offset } of this.#offsets.newestFirst(topic)) {
      const page = await this.#history.read(offset - 1, { through: offset, maxBytes: 1, kept: true });
      const [publication] = page.publications;
      if (publication === undefined) continue;
      assert.deepEqual([publication.offset, publication.topics.includes(topic)], [offset, true]);
      return offset;
    }
    return undefined;
  }

  /** The same, as it must be. */
  expected(topic: string): number | undefined {
    const all = this.#published.filter(({ topics }) => topics.includes(topic)).reverse();
    const isShown = ({ expiresAt = Number.POSITIVE_INFINITY }: Publication) => expiresAt > this.clock.now();
    const newest = this.rules.keepsLast(topic) ? all.slice(0, 1) : [];
    return all.find((it) => isShown(it) && (newest.includes(it) || it.offset > this.#history.floor))?.offset;
  }
}

function suite(name: string, open: (t: TestContext) => Open, survives: boolean): void {
  test(`${name}: the newest event of a kept topic can be read after it was trimmed, the others cannot`, async (t) => {
    const { history, clock, ...world } = await worldOf(open(t));
    world.publish(["kept/1"]);
    world.publish(["kept/2"]);
    world.publish(["kept/1"]);
    for (let event = 0; event < 10; event++) world.publish(["other"]);
    clock.advance(1000);
    assert.equal(history.floor, 8);
    const read = async (kept?: true) =>
      (await history.read(0, { through: 8, maxBytes: 1e6, ...(kept && { kept }) })).publications.map((it) => it.offset);
    assert.deepEqual([await read(true), await read()], [[2, 3], []]);
    assert.deepEqual([history.count, history.keptCount], [5, 2]);
  });

  test(`${name}: the publisher's own id of a kept event is found as long as the event is kept`, async (t) => {
    const { history, clock, ...world } = await worldOf(open(t));
    const flood = (count: number) => {
      for (let event = 0; event < count; event++) {
        world.publish(["other"], undefined, "of another");
        clock.advance(1000);
      }
    };
    world.publish(["kept/1"], undefined, "own-1");
    world.publish(["kept/2"], undefined, "own-2");
    flood(10);
    assert.ok(history.floor > 2);
    const find = (...ids: string[]) => ids.map((id) => history.find(id));
    assert.deepEqual(find("own-1", "own-2", "own-3"), [1, 2, undefined]);
    world.publish(["kept/2"], undefined, "own-3");
    flood(10);
    assert.deepEqual(find("own-1", "own-2", "own-3"), [1, undefined, 13]);
    world.publish(["kept/1"], undefined, "own-1");
    assert.deepEqual(find("own-1"), [24], "a stored event with the id comes before a kept one");
    flood(10);
    assert.deepEqual(find("own-1", "own-3"), [24, 13]);
  });

  test(`${name}: a superseded event goes, and an expired one, for good`, async (t) => {
    const { history, clock, ...world } = await worldOf(open(t));
    world.publish(["kept/1"]);
    world.publish(["kept/2"], 60_000);
    const pass = (seconds: number) => {
      for (let second = 0; second < seconds; second++) {
        world.publish(["other"]);
        clock.advance(1000);
      }
    };
    pass(10);
    assert.equal(history.keptCount, 2);
    world.publish(["kept/1"]);
    pass(50);
    assert.equal(await world.latest("kept/2"), undefined);
    world.publish(["kept/3"]);
    pass(10);
    assert.equal(history.keptCount, 2, "kept/1 and kept/3");
  });

  test(`${name}: nothing is kept any longer once its table is gone`, async (t) => {
    const { history, clock, ...world } = await worldOf(open(t));
    const flood = () => {
      for (let event = 0; event < 10; event++) world.publish(["other"]);
      clock.advance(1000);
    };
    world.publish(["kept/1"]);
    flood();
    world.rules.replace(rulesOf(""));
    assert.equal(await world.latest("kept/1"), undefined);
    world.rules.replace(rulesOf('[[topic]]\ntopic = "other"\nkeep = "last"\n'));
    flood();
    flood();
    assert.equal(history.keptCount, 0);
    assert.notEqual(await world.latest("other"), undefined);
  });

  test(`${name}: a removed event is gone for good`, async (t) => {
    const opened = open(t);
    const { history, clock, ...world } = await worldOf(opened);
    for (const id of [1, 2, 3]) world.publish([`kept/${id}`]);
    for (let event = 0; event < 10; event++) world.publish(["other"]);
    clock.advance(1000);
    assert.equal(history.keptCount, 3);
    const { epoch, last: through } = history;
    void history.append(positionRemoval({ topic: "kept/1", through }, epoch, through + 1, clock.now()));
    void history.append(positionRemoval({ id: `#${epoch}.2`, through }, epoch, through + 2, clock.now()));
    history.commit();
    for (const topic of ["kept/1", "kept/2"]) assert.equal(await world.latest(topic), undefined);
    while (history.removals.size > 0) await new Promise((resolve) => setImmediate(resolve));
    assert.deepEqual(
      [history.keptCount, await world.latest("kept/2"), await world.latest("kept/3")],
      [1, undefined, 3],
    );
  });

  const topics = fc.uniqueArray(fc.constantFrom("kept/1", "kept/2", "kept/3", "other"), { minLength: 1, maxLength: 3 });
  const steps = fc.array(
    fc.oneof(
      { weight: 8, arbitrary: fc.record({ topics, ttlMs: fc.constantFrom(undefined, undefined, 3000) }) },
      { weight: 2, arbitrary: fc.constantFrom(1000, 2000, 5000) },
      ...(survives ? [{ weight: 1, arbitrary: fc.constant("restart" as const) }] : []),
    ),
    { maxLength: 60 },
  );

  test(`${name}: after any steps the newest event of each topic is the right one`, async (t) => {
    await fc.assert(
      fc.asyncProperty(steps, async (all) => {
        const world = await World.open(open(t));
        for (const step of all) {
          if (step === "restart") await world.restart();
          else if (typeof step === "number") world.clock.advance(step);
          else world.publish(step.topics, step.ttlMs);
          for (const topic of ["kept/1", "kept/2", "kept/3", "other"])
            assert.equal(await world.latest(topic), world.expected(topic), topic);
        }
        await world.history.close();
      }),
      { numRuns: 50 },
    );
  });
}

/** An open world, with its methods bound. */
async function worldOf(open: Open) {
  const world = await World.open(open);
  const { history, clock, rules } = world;
  return { history, clock, rules, publish: world.publish.bind(world), latest: world.latest.bind(world) };
}

describe("Kept events", () => {
  suite("memory", () => async (clock) => new MemoryHistory(LIMITS, clock), false);

  /** Each call is another folder; the opened history is closed when the test ends. */
  const lmdb = (t: TestContext): Open => {
    const folder = temporaryDirectory();
    let opened: History | undefined;
    t.after(async () => {
      await opened?.close().catch(() => {});
      removeDirectory(folder);
    });
    return async (clock) => {
      const options = { ...LIMITS, durability: "commit", path: join(folder, "data") } as const;
      opened = await openLmdbHistory(options, clock);
      return opened;
    };
  };
  suite("lmdb", lmdb, true);
});
