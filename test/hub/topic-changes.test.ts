/** A model of streams whose topics change: each client gets the events that its topics select at their positions, each once, in order. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import type { Client } from "../../src/delivery/client.js";
import type { StoredClient } from "../../src/delivery/client-store.js";
import type { StreamControl } from "../../src/delivery/stream-control.js";
import type { Interest } from "../../src/matching/interest.js";
import { canonical, type Selector, textOf } from "../../src/matching/selector.js";
import { type Bench, bench } from "../support/hub.js";

const TOPICS = ["a", "b", "c"] as const;
const SELECTORS: readonly Selector[] = [
  ...TOPICS.map((value): Selector => ({ kind: "exact", value })),
  { kind: "template", value: "{x}" },
  { kind: "any" },
];

const interestOf = (selectors: readonly Selector[]): Interest => ({ selectors: canonical(selectors), grants: [] });
const selects = ({ selectors }: Interest, topics: readonly string[]) =>
  selectors.some((it) => it.kind !== "exact" || topics.includes(it.value));

/** A block of a stream: an event of a topic, or the notice of a change. */
interface Block {
  readonly type: string | undefined;
  readonly offset: number;
  readonly data: string;
}

function blocksOf(text: string): Block[] {
  return text.split("\n\n").flatMap((block) => {
    const [, type] = /^event: (.*)$/m.exec(block) ?? [];
    const [, offset] = /^id: #[^.]+\.(\d+)$/m.exec(block) ?? [];
    const [, data] = /^data: (.*)$/m.exec(block) ?? [];
    return data === undefined ? [] : [{ type, offset: Number(offset), data }];
  });
}

/** What the model knows of a client: what it selects, and from which offset on. */
interface Modelled {
  /** Events of a killed process that it received, whether its record had them or not: a change at an earlier position came too late for them. */
  readonly had: Set<number>;
  readonly periods: { readonly after: number; readonly interest: Interest; readonly notice?: string }[];
}

type Command =
  | { readonly what: "publish"; readonly topics: readonly string[] }
  | {
      readonly what: "change";
      readonly client: number;
      readonly added: readonly number[];
      readonly removed: readonly number[];
    }
  | { readonly what: "pass" | "wait" | "credit" | "kill" };

const indexes = fc.subarray(
  SELECTORS.map((_, at) => at),
  { maxLength: 3 },
);
const command: fc.Arbitrary<Command> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.subarray([...TOPICS], { minLength: 1 }).map((topics) => ({ what: "publish" as const, topics })),
  },
  {
    weight: 4,
    arbitrary: fc
      .tuple(fc.nat({ max: 3 }), indexes, indexes)
      .map(([client, added, removed]) => ({ what: "change" as const, client, added, removed })),
  },
  { weight: 4, arbitrary: fc.constantFrom("pass" as const, "wait" as const).map((what) => ({ what })) },
  { weight: 1, arbitrary: fc.constantFrom("credit" as const, "kill" as const).map((what) => ({ what })) },
);

/** The daemon and the processes that follow it, on one history and one client record. */
class Scenario {
  readonly clients = new Map<number, Modelled>();
  readonly published: (readonly string[])[] = [];
  readonly received = new Map<number, string>();
  #bench: Bench;

  private constructor(first: Bench) {
    this.#bench = first;
  }

  static async open(): Promise<Scenario> {
    const scenario = new Scenario(undefined as never);
    scenario.#bench = await bench({ observe: scenario.#observe });
    for (let id = 0; id < 4; id++) {
      const interest = interestOf(SELECTORS.slice(id, id + 1));
      const control = { name: `stream ${id}`, dialect: "0.x" } as const;
      scenario.clients.set(id, { had: new Set(), periods: [{ after: 0, interest }] });
      scenario.#bench.connect(id, { interest, control, ...(id === 3 && { creditLimit: 500 }) });
    }
    return scenario;
  }

  readonly #observe = (event: { readonly type: string; readonly client?: Client }): void => {
    if (event.type !== "topicsChanged" || !event.client) return;
    const { id, audience, control } = event.client;
    const after = this.#bench.server.sentOffset(event.client);
    this.clients.get(id)?.periods.push({ after, interest: audience.interest, notice: control?.pending?.notice ?? "" });
  };

  async run(it: Command): Promise<void> {
    const { outlet, clock, hub, server } = this.#bench;
    if (it.what === "publish") {
      this.published.push(it.topics);
      const topics = it.topics as [string, ...string[]];
      void hub.publish({ topics, data: `${this.published.length}`, private: false });
    } else if (it.what === "change") this.#change(it.client, it.added, it.removed);
    else if (it.what === "pass") outlet.pass();
    else if (it.what === "wait") clock.advance(2);
    else if (it.what === "credit") server.credit(3, 200);
    else await this.#kill();
  }

  #change(id: number, added: readonly number[], removed: readonly number[]): void {
    const pick = (at: number) => SELECTORS[at] as Selector;
    const done = this.#bench.hub.streams.change(`stream ${id}`, undefined, ({ client }) => {
      const gone = new Set(removed.map((at) => textOf(pick(at))));
      const kept = client.audience.interest.selectors.filter((selector) => !gone.has(textOf(selector)));
      const interest = interestOf([...kept, ...added.map(pick)]);
      const count = this.clients.get(id)?.periods.length;
      return { interest, subscriber: undefined, notice: `topics ${count} ${interest.selectors.map(textOf).join()}` };
    });
    done.catch(() => {}); // the process is killed before it can be carried out
  }

  /** What the next process sends follows what this one has sent. */
  async #kill(): Promise<void> {
    const { outlet, store, history, clock } = this.#bench;
    for (const [id, { had }] of this.clients) {
      const text = outlet.received.get(id) ?? "";
      this.#keep(id, text);
      for (const { type, offset } of blocksOf(text)) {
        if (type !== undefined) continue;
        assert.ok(had.has(offset) || this.#isWanted(id, offset), `${offset} is not for client ${id}`);
        had.add(offset);
      }
    }
    const stored = [...store.clients.values()].map((it): StoredClient => {
      const { acknowledgedOffset, coveredByServerFence } = it;
      return coveredByServerFence ? { ...it, acknowledgedOffset: Math.max(acknowledgedOffset, store.through) } : it;
    });
    this.#bench = await bench({ observe: this.#observe, previous: { history, store, clock } });
    this.#bench.hub.expect(stored);
    for (const client of stored) this.#bench.hub.adopt(this.#bench.server, client);
  }

  #keep(id: number, text: string): void {
    this.received.set(id, (this.received.get(id) ?? "") + text);
  }

  /** Lets every client receive everything. */
  end(): void {
    const { outlet, server, clients } = { ...this.#bench, clients: this.clients };
    for (let round = 0; round < this.published.length + 20; round++) {
      outlet.acknowledgeAll();
      server.credit(3, 10_000);
    }
    outlet.acknowledgeAll();
    for (const id of clients.keys()) this.#keep(id, outlet.received.get(id) ?? "");
  }

  #isWanted(id: number, offset: number): boolean {
    const period = this.clients.get(id)?.periods.findLast(({ after }) => after < offset);
    return selects(period?.interest as Interest, this.published[offset - 1] ?? []);
  }

  check(id: number): void {
    const { periods, had } = this.clients.get(id) as Modelled;
    const blocks = blocksOf(this.received.get(id) ?? "").filter(({ type }) => type !== "m2push-open");
    // A process that was killed may have sent what its record does not have: the next one sends it again.
    let last = 0;
    const events = blocks.filter(({ type }) => type === undefined);
    const seen = new Set<number>();
    for (const { offset } of events) {
      assert.ok(offset > last || seen.has(offset), `${offset} came after ${last}`);
      seen.add(offset);
      last = Math.max(last, offset);
    }
    const offsets = this.published.map((_, at) => at + 1);
    const expected = offsets.filter((offset) => had.has(offset) || this.#isWanted(id, offset));
    assert.deepEqual([...seen], expected, `client ${id}`);
    const notice = periods.at(-1)?.notice;
    if (notice === undefined) return;
    const at = blocks.findLastIndex(({ type }) => type === "m2push-topics");
    assert.deepEqual([blocks[at]?.data, blocks[at]?.offset], [notice, periods.at(-1)?.after]);
  }
}

/** Notices stand between the events before their position and those after it. */
function checkNotices(text: string): void {
  let last = 0;
  for (const { type, offset } of blocksOf(text)) {
    if (type === "m2push-topics") assert.ok(offset >= last, `a notice at ${offset} after the event ${last}`);
    if (type === undefined) last = offset;
  }
}

/** What the model of replays knows of a client. */
interface Replayed {
  interest: Interest;
  /** By selector: the offset after which the stream has it. */
  since: Map<string, number>;
  readonly periods: { readonly after: number; readonly interest: Interest }[];
  /** How often each offset is replayed; `dropped` may be fewer: their topics were removed again. */
  readonly replays: { readonly offset: number; readonly by: readonly Selector[]; dropped: boolean }[];
}

type ReplayCommand =
  | { readonly what: "publish"; readonly topics: readonly string[] }
  | {
      readonly what: "change";
      readonly client: number;
      readonly added: readonly number[];
      readonly removed: readonly number[];
      readonly back: number | undefined;
    }
  | { readonly what: "pass" | "wait" | "credit" | "restart" };

const replayCommand: fc.Arbitrary<ReplayCommand> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.subarray([...TOPICS], { minLength: 1 }).map((topics) => ({ what: "publish" as const, topics })),
  },
  {
    weight: 5,
    arbitrary: fc
      .tuple(fc.nat({ max: 3 }), indexes, indexes, fc.option(fc.nat({ max: 12 }), { nil: undefined }))
      .map(([client, added, removed, back]) => ({ what: "change" as const, client, added, removed, back })),
  },
  { weight: 4, arbitrary: fc.constantFrom("pass" as const, "wait" as const).map((what) => ({ what })) },
  { weight: 1, arbitrary: fc.constantFrom("credit" as const, "restart" as const).map((what) => ({ what })) },
);

const matches = (selector: Selector, topics: readonly string[]) => selects(interestOf([selector]), topics);

/** Streams whose added topics are replayed, over processes that hand over to each other. */
class ReplayScenario {
  readonly clients = new Map<number, Replayed>();
  readonly published: (readonly string[])[] = [];
  readonly #received = new Map<number, string>();
  #bench!: Bench;
  #asked: { readonly added: readonly Selector[]; readonly after: number | undefined } | undefined;

  async open(): Promise<this> {
    this.#bench = await bench({ observe: this.#observe });
    for (let id = 0; id < 4; id++) {
      const interest = interestOf(SELECTORS.slice(id, id + 1));
      const since = new Map(interest.selectors.map((it) => [textOf(it), 0]));
      this.clients.set(id, { interest, since, periods: [{ after: 0, interest }], replays: [] });
      const control = { name: `stream ${id}`, dialect: "0.x" } as const;
      this.#bench.connect(id, { interest, control, ...(id === 3 && { creditLimit: 300 }) });
    }
    return this;
  }

  readonly #observe = (event: { readonly type: string; readonly client?: Client }): void => {
    if (event.type !== "topicsChanged" || !event.client) return;
    const client = this.clients.get(event.client.id) as Replayed;
    const offset = this.#bench.server.sentOffset(event.client);
    const { interest } = event.client.audience;
    const { added = [], after: asked } = this.#asked ?? {};
    const after = asked === undefined ? undefined : Math.min(asked, offset);
    const replayed = added.filter((it) => after !== undefined && (client.since.get(textOf(it)) ?? Infinity) > after);
    const has = ({ selectors }: Interest, it: Selector) => selectors.some((other) => textOf(other) === textOf(it));
    for (const replay of client.replays) replay.dropped ||= !replay.by.some((it) => has(interest, it));
    for (let at = (after ?? offset) + 1; at <= offset; at++) {
      const topics = this.published[at - 1] ?? [];
      const wasReceived = client.interest.selectors.some(
        (it) => at > (client.since.get(textOf(it)) ?? 0) && matches(it, topics),
      );
      const by = replayed.filter((it) => matches(it, topics));
      if (by.length > 0 && !wasReceived) client.replays.push({ offset: at, by, dropped: false });
    }
    const isReplayed = (it: Selector) => replayed.some((other) => textOf(other) === textOf(it));
    const sinceOf = (it: Selector) => (isReplayed(it) ? (after ?? offset) : (client.since.get(textOf(it)) ?? offset));
    client.since = new Map(interest.selectors.map((it) => [textOf(it), sinceOf(it)]));
    client.interest = interest;
    client.periods.push({ after: offset, interest });
  };

  async run(it: ReplayCommand): Promise<void> {
    const { outlet, clock, hub, server } = this.#bench;
    if (it.what === "publish") {
      this.published.push(it.topics);
      const topics = it.topics as [string, ...string[]];
      void hub.publish({ topics, data: `${this.published.length}`, private: false });
    } else if (it.what === "change") this.#change(it.client, it.added, it.removed, it.back);
    else if (it.what === "pass") outlet.pass();
    else if (it.what === "wait") clock.advance(2);
    else if (it.what === "credit") server.credit(3, 200);
    else await this.#restart();
  }

  #change(id: number, added: readonly number[], removed: readonly number[], back: number | undefined): void {
    const pick = (at: number) => SELECTORS[at] as Selector;
    const after = back === undefined ? undefined : Math.max(0, this.published.length - back);
    const done = this.#bench.hub.streams.change(`stream ${id}`, undefined, ({ client }) => {
      const gone = new Set(removed.map((at) => textOf(pick(at))));
      const kept = client.audience.interest.selectors.filter((selector) => !gone.has(textOf(selector)));
      const interest = interestOf([...kept, ...added.map(pick)]);
      this.#asked = { added: added.map(pick), after };
      const selectors = added.map((at) => textOf(pick(at)));
      const from = { lastEventId: "of the client", offset: after };
      const replay = after === undefined ? undefined : { selectors, from };
      return { interest, subscriber: undefined, notice: "{}", replay };
    });
    done.catch(() => {}); // too many replays wait, or the process has ended
  }

  /** The next process goes on when Mongrel2 has taken what this one has sent. */
  async #restart(): Promise<void> {
    const { outlet, store, history, clock } = this.#bench;
    outlet.acknowledgeAll();
    for (const id of this.clients.keys()) this.#keep(id);
    const stored = [...store.clients.values()].map((it): StoredClient => {
      const { acknowledgedOffset, coveredByServerFence } = it;
      const read = JSON.parse(JSON.stringify(it));
      return coveredByServerFence ? { ...read, acknowledgedOffset: Math.max(acknowledgedOffset, store.through) } : read;
    });
    this.#bench = await bench({ observe: this.#observe, previous: { history, store, clock } });
    for (const client of stored) this.#bench.hub.adopt(this.#bench.server, client);
  }

  #keep(id: number): void {
    this.#received.set(id, (this.#received.get(id) ?? "") + (this.#bench.outlet.received.get(id) ?? ""));
  }

  end(): void {
    const { outlet, server } = this.#bench;
    for (let round = 0; round < 2 * this.published.length + 40; round++) {
      outlet.acknowledgeAll();
      server.credit(3, 10_000);
    }
    outlet.acknowledgeAll();
    for (const id of this.clients.keys()) this.#keep(id);
  }

  check(id: number): void {
    const { periods, replays } = this.clients.get(id) as Replayed;
    const blocks = blocksOf(this.#received.get(id) ?? "");
    for (let offset = 1; offset <= this.published.length; offset++) {
      const period = periods.findLast(({ after }) => after < offset);
      const live = selects(period?.interest as Interest, this.published[offset - 1] ?? []) ? 1 : 0;
      const own = replays.filter((it) => it.offset === offset);
      const least = live + own.filter(({ dropped }) => !dropped).length;
      const count = blocks.filter((it) => it.type === undefined && it.offset === offset).length;
      assert.ok(
        count >= least && count <= live + own.length,
        `client ${id} got ${offset} ${count} times, not ${least}`,
      );
    }
  }
}

describe("Topics that change", () => {
  test("added topics are replayed from a position, without what the client has received through others", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(replayCommand, { maxLength: 60 }), async (commands) => {
        const scenario = await new ReplayScenario().open();
        for (const it of commands) await scenario.run(it);
        scenario.end();
        for (const id of scenario.clients.keys()) scenario.check(id);
      }),
      { numRuns: 300 },
    );
  });

  test("each client gets what its topics select at each position, each event once, whatever happens", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(command, { maxLength: 60 }), async (commands) => {
        const scenario = await Scenario.open();
        for (const it of commands) await scenario.run(it);
        scenario.end();
        for (const id of scenario.clients.keys()) {
          scenario.check(id);
          if (commands.every(({ what }) => what !== "kill")) checkNotices(scenario.received.get(id) ?? "");
        }
      }),
      { numRuns: 300 },
    );
  });

  test("a change waits for the flush in flight, and holds from what Mongrel2 has taken then", async () => {
    const { hub, outlet, store, connect, publish } = await bench();
    const control: StreamControl = { name: "n", dialect: "0.x" };
    connect(1, { control, interest: interestOf([{ kind: "exact", value: "a" }]) });
    publish("1", "a");
    const interest = interestOf([{ kind: "exact", value: "b" }]);
    const changed = hub.streams.change("n", undefined, () => ({ interest, subscriber: undefined, notice: "{}" }));
    publish("2", "a");
    publish("3", "b");
    assert.equal(store.clients.get(1)?.selectors[0], "exact\ta");
    outlet.pass();
    assert.equal(await changed, 1);
    const { selectors, acknowledgedOffset, control: stored } = store.clients.get(1) ?? {};
    assert.deepEqual([selectors, acknowledgedOffset, stored?.pending?.notice], [["exact\tb"], 1, "{}"]);
    outlet.acknowledgeAll();
    assert.deepEqual(
      blocksOf(outlet.received.get(1) ?? "").map(({ type, data }) => type ?? data),
      ["m2push-open", "1", "m2push-topics", "3"],
    );
    assert.equal(store.clients.get(1)?.control?.pending, undefined, "it was taken");
  });

  test("a stream of a lost link is undecided until it is adopted or forgotten", async () => {
    const { hub, server, connect } = await bench();
    for (const id of [1, 2]) connect(id, { control: { name: `n${id}`, dialect: "0.x" } });
    const change = (name: string) =>
      hub.streams.change(name, undefined, ({ client }) => ({
        ...client.audience,
        subscriber: undefined,
        notice: "{}",
      }));
    const [first, second] = hub.lost(server) as [StoredClient, StoredClient];
    await assert.rejects(change("n1"), { code: "unavailable" });
    server.start();
    hub.adopt(server, first);
    hub.forget(server, [second]);
    await change("n1");
    await assert.rejects(change("n2"), { code: "not_found" });
    hub.leave(server, 1, "left");
    assert.equal(hub.streams.size, 0);
  });
});
