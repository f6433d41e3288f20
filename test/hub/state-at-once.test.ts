/**
 * State at once against a model: publications, trims, restarts of the daemon and losses of the link at random, and streams that ask for
 * latest, last or since. Each client gets exactly the events that it must, in order.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { LocalBus } from "../../src/cluster/local-bus.js";
import type { StoredClient } from "../../src/delivery/client-store.js";
import type { StateKind } from "../../src/delivery/selection.js";
import type { ServerDelivery } from "../../src/delivery/server-delivery.js";
import { Hub } from "../../src/hub/hub.js";
import type { Interest } from "../../src/matching/interest.js";
import { ANY, type Selector } from "../../src/matching/selector.js";
import type { Draft } from "../../src/protocol/publication.js";
import { MemoryHistory } from "../../src/storage/memory/memory-history.js";
import { FakeClock } from "../support/clock.js";
import { MapStore } from "../support/hub.js";
import { RecordingOutlet } from "../support/outlet.js";
import { readReceived } from "../support/received.js";

const TOPICS = ["a", "b/1", "b/2", "b/1/c", "d"] as const;
const exact = (value: string): Selector => ({ kind: "exact", value });
const BOOKS: Selector = { kind: "template", value: "b/{id}" };
const SELECTORS: readonly (readonly Selector[])[] = [
  [exact("a")],
  [exact("a"), exact("b/1")],
  [BOOKS],
  [exact("d"), BOOKS],
  [{ kind: "urlpattern", value: "b/:id" }],
  [ANY],
  [exact("none")],
];
const GRANTS: readonly (readonly Selector[])[] = [[], [exact("a")], [BOOKS], [ANY]];

const matches = (selector: Selector, topic: string): boolean => {
  if (selector.kind === "any") return true;
  if (selector.kind === "exact") return selector.value === topic;
  return /^b\/\d$/.test(topic);
};

interface Event {
  readonly offset: number;
  readonly draft: Draft;
  readonly time: number;
}

interface Start {
  readonly kind: StateKind;
  readonly count: number;
}

/** What a client must get of the stored events when it opens its stream. */
function expectedAtStart(
  { selectors, grants }: Interest,
  { kind, count }: Start,
  stored: readonly Event[],
  since: number,
) {
  const isWanted = ({ draft }: Event) => draft.topics.some((topic) => selectors.some((it) => matches(it, topic)));
  const isSeen = ({ draft }: Event) =>
    !draft.private || draft.topics.some((topic) => grants.some((it) => matches(it, topic)));
  const seen = stored.filter((it) => isWanted(it) && isSeen(it));
  if (kind === "since") return seen.filter(({ time }) => time >= since);
  if (kind === "last") return seen.slice(-count);
  const newest = TOPICS.filter((topic) => selectors.some((it) => matches(it, topic))).map((topic) =>
    seen.findLast(({ draft }) => (draft.topics as readonly string[]).includes(topic)),
  );
  return seen.filter((it) => newest.includes(it));
}

/** One history, and the daemons that serve it one after the other. */
class World {
  readonly clock = new FakeClock();
  readonly history: MemoryHistory;
  readonly published: Event[] = [];
  readonly clients = new Map<number, { readonly interest: Interest; readonly expected: Event[] }>();
  readonly #maxEvents: number;
  readonly #store = new MapStore();
  readonly #texts = new Map<number, string>();
  #outlet!: RecordingOutlet;
  #hub!: Hub;
  #server!: ServerDelivery;
  hasRestarted = false;

  constructor(maxEvents: number) {
    this.#maxEvents = maxEvents;
    this.history = new MemoryHistory({ maxEvents, maxAge: 1e12, maxBytes: 1e12 }, this.clock);
  }

  async start(): Promise<void> {
    const { clock, history } = this;
    this.#outlet = new RecordingOutlet(clock);
    this.#hub = new Hub({
      ...{ history, clock, bus: new LocalBus(history, clock), clients: this.#store, observe() {} },
      presenceListener: { joined() {}, adopted() {}, changed() {}, left() {} },
      base: "http://hub.example/.well-known/mercure",
      random: () => 0.5,
    });
    await this.#hub.start();
    this.#server = this.#hub.serveMongrel2("main", this.#outlet, { keepalive: 45_000, heartbeat: 15_000 });
    this.#server.start();
  }

  /** A state with a large event does not fit into the opening. */
  publish(topics: readonly string[], isPrivate: boolean, isLarge: boolean): void {
    const data = String(this.published.length + 1);
    const draft: Draft = { topics: topics as [string], data, private: isPrivate };
    void this.#hub.publish({ ...draft, data: isLarge ? `${data}\n${"x".repeat(20_000)}` : data });
    const event = { offset: this.history.last, draft, time: this.clock.now() };
    this.published.push(event);
    for (const { interest, expected } of this.clients.values())
      expected.push(...expectedAtStart(interest, { kind: "last", count: 1 }, [event], 0));
  }

  async open(interest: Interest, start: Start): Promise<void> {
    const id = this.clients.size + 1;
    const since = this.clock.now() - 1000 * start.count;
    const replay =
      start.kind === "since" ? await this.#hub.findReplaySince(since) : { lastEventId: undefined, offset: undefined };
    const selection = start.kind === "last" ? { kind: start.kind, count: start.count } : { kind: "latest" as const };
    this.#hub.subscribe(this.#server, {
      ...{ id, remote: "127.0.0.1", interest, replay, head: Buffer.from(": open\n\n") },
      selection: start.kind === "since" ? undefined : selection,
    });
    const expected = expectedAtStart(interest, start, this.published.slice(-this.#maxEvents), since);
    this.clients.set(id, { interest, expected });
  }

  step(): void {
    this.#outlet.step();
  }

  /** The process is killed: what it had sent has arrived, and the next one knows what was acknowledged. */
  async kill(): Promise<void> {
    this.hasRestarted = true;
    this.#keepTexts();
    const { clients, through } = this.#store;
    const stored = [...clients.values()].map((it) => ({
      ...it,
      acknowledgedOffset: it.coveredByServerFence ? Math.max(it.acknowledgedOffset, through) : it.acknowledgedOffset,
    }));
    await this.start();
    this.#adopt(stored.map((it) => JSON.parse(JSON.stringify(it)) as StoredClient));
  }

  /** The link is lost and proven to be the same. */
  loseLink(): void {
    this.hasRestarted = true;
    const left = this.#hub.lost(this.#server);
    this.#server.start();
    this.#adopt(left);
  }

  #adopt(stored: readonly StoredClient[]): void {
    for (const it of stored) this.#hub.adopt(this.#server, it);
  }

  #keepTexts(): void {
    for (const [id, text] of this.#outlet.received) this.#texts.set(id, (this.#texts.get(id) ?? "") + text);
    this.#outlet.received.clear();
  }

  /** Lets everything that can be sent arrive. */
  async deliverAll(): Promise<void> {
    do {
      this.#outlet.acknowledgeAll();
      await new Promise(setImmediate);
    } while (this.#server.figures.behind > 0 || this.#outlet.pendingFences > 0);
  }

  check(): void {
    this.#keepTexts();
    for (const [id, { expected }] of this.clients) {
      const text = this.#texts.get(id) ?? "";
      const data = [...text.matchAll(/^data: (\d+)$/gm)].map(([, number]) => number ?? "");
      const received = this.hasRestarted ? readReceived(data).once : data;
      assert.deepEqual(
        received,
        expected.map(({ draft }) => draft.data),
        `client ${id}`,
      );
      assert.ok(!text.includes("m2push-gap"), text);
      if (!this.hasRestarted) assert.equal(text.split("event: m2push-open").length, 2, "one position");
    }
  }
}

type Command =
  | {
      readonly do: "publish";
      readonly topics: readonly string[];
      readonly isPrivate: boolean;
      readonly isLarge: boolean;
    }
  | { readonly do: "open"; readonly start: Start; readonly selectors: number; readonly grants: number }
  | { readonly do: "step" | "wait" | "kill" | "lose" };

const topics = fc.uniqueArray(fc.constantFrom(...TOPICS), { minLength: 1, maxLength: 3 });
const command: fc.Arbitrary<Command> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant("publish" as const),
      topics,
      isPrivate: fc.boolean(),
      isLarge: fc.boolean(),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant("open" as const),
      start: fc.record({
        kind: fc.constantFrom<StateKind>("latest", "last", "since"),
        count: fc.integer({ min: 1, max: 6 }),
      }),
      selectors: fc.nat(SELECTORS.length - 1),
      grants: fc.nat(GRANTS.length - 1),
    }),
  },
  { weight: 6, arbitrary: fc.record({ do: fc.constantFrom("step" as const, "wait" as const) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constantFrom("kill" as const, "lose" as const) }) },
);

async function run(world: World, it: Command): Promise<void> {
  switch (it.do) {
    case "publish":
      return world.publish(it.topics, it.isPrivate, it.isLarge);
    case "open": {
      const [selectors = [], grants = []] = [SELECTORS[it.selectors], GRANTS[it.grants]];
      return world.open({ selectors, grants }, it.start);
    }
    case "step":
      return world.step();
    case "wait":
      world.clock.advance(1000);
      return;
    case "kill":
      return world.kill();
    case "lose":
      return world.loseLink();
  }
}

describe("State at once", () => {
  test("no client misses an event or gets one twice, whatever happens while it is sent its state", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(command, { maxLength: 60 }), async (commands) => {
        const world = new World(1000);
        await world.start();
        for (const it of commands) await run(world, it);
        await world.deliverAll();
        world.check();
      }),
    );
  });

  test("the state is made of the stored events, while the oldest are trimmed", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(command, { maxLength: 100 }), async (commands) => {
        const world = new World(8);
        await world.start();
        for (const it of commands) {
          await run(world, it);
          await world.deliverAll();
        }
        world.check();
      }),
    );
  });
});
