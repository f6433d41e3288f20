/**
 * Publications with and without a ttl, private and final ones, removals, trims and restarts at random, against a model: no client is sent an
 * event twice, out of order, after its expiry or removal, or one that is not for it, and none misses one without being told.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { describe, type TestContext, test } from "node:test";
import fc from "fast-check";
import { LocalBus } from "../../src/cluster/local-bus.js";
import type { ServerDelivery } from "../../src/delivery/server-delivery.js";
import { VisibleHistory } from "../../src/delivery/visible-history.js";
import { Hub } from "../../src/hub/hub.js";
import { offsetOf } from "../../src/protocol/position.js";
import type { RemovalTarget } from "../../src/protocol/removal.js";
import { decodeEvents } from "../../src/protocol/sse.js";
import { type LmdbHistory, openLmdbHistory } from "../../src/storage/lmdb/lmdb-history.js";
import { FakeClock } from "../support/clock.js";
import { MapStore, openStream } from "../support/hub.js";
import { RecordingOutlet } from "../support/outlet.js";
import { removeDirectory, temporaryDirectory } from "../support/processes.js";
import { runModel } from "../support/run-model.js";

const TOPICS = ["a", "b", "c"] as const;
const BASE = "http://hub.example/.well-known/mercure";
/** Fewer than a run publishes: some are trimmed. */
const MAX_EVENTS = 15;

interface ModelEvent {
  readonly offset: number;
  readonly id: string;
  readonly topics: readonly string[];
  readonly isPrivate: boolean;
  readonly publishedAt: number;
  readonly expiresAt: number;
  isRemoved: boolean;
}

/** A client that connects again with the id of the last event that it has got. */
interface ModelClient {
  readonly topic: string | undefined;
  readonly hasGrants: boolean;
  connection: number;
  /** The last position that it was sent. */
  lastEventId: string;
  /** Everything up to this offset is its own, was sent, or was reported as missing. */
  through: number;
  readonly received: Set<number>;
}

type Command =
  | {
      readonly do: "publish";
      readonly topics: readonly string[];
      readonly isPrivate: boolean;
      readonly ttlMs: number | undefined;
      readonly isFinal: boolean;
      readonly hasOwnId: boolean;
    }
  | { readonly do: "remove"; readonly what: "topic" | "id" | "before"; readonly which: number }
  | { readonly do: "connect"; readonly topic: string | undefined; readonly hasGrants: boolean }
  | { readonly do: "reconnect"; readonly which: number }
  | { readonly do: "pass"; readonly milliseconds: number }
  | { readonly do: "acknowledge" | "turn" | "restart" };

const topic = fc.constantFrom(...TOPICS);
const command: fc.Arbitrary<Command> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constant("publish" as const),
      topics: fc.uniqueArray(topic, { minLength: 1, maxLength: 2 }),
      isPrivate: fc.boolean(),
      ttlMs: fc.option(fc.constantFrom(1, 500, 1500), { nil: undefined, freq: 2 }),
      isFinal: fc.integer({ max: 5 }).map((it) => it === 5),
      hasOwnId: fc.boolean(),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant("remove" as const),
      what: fc.constantFrom("topic" as const, "id" as const, "before" as const),
      which: fc.nat(1000),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant("connect" as const),
      topic: fc.option(topic, { nil: undefined }),
      hasGrants: fc.boolean(),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("reconnect" as const), which: fc.nat(1000) }) },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constant("pass" as const), milliseconds: fc.constantFrom(1, 400, 1000) }),
  },
  { weight: 4, arbitrary: fc.record({ do: fc.constantFrom("acknowledge" as const, "turn" as const) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("restart" as const) }) },
);

const turn = () => new Promise((resolve) => setImmediate(resolve));

class Model {
  readonly clock = new FakeClock();
  readonly events: ModelEvent[] = [];
  readonly clients: ModelClient[] = [];
  readonly #path: string;
  readonly #byConnection = new Map<number, ModelClient>();
  #lastConnection = 0;
  #history!: LmdbHistory;
  #hub!: Hub;
  #server!: ServerDelivery;
  #outlet!: RecordingOutlet;

  constructor(path: string) {
    this.#path = path;
  }

  async open(): Promise<void> {
    const { clock } = this;
    const limits = { maxEvents: MAX_EVENTS, maxAge: 1e12, maxBytes: 1e12, durability: "commit" } as const;
    this.#history = await openLmdbHistory({ ...limits, path: this.#path }, clock);
    const history = new VisibleHistory(this.#history, clock);
    this.#hub = new Hub({
      ...{ history, clock, bus: new LocalBus(history, clock), clients: new MapStore(), base: BASE, random: () => 0.5 },
      observe: () => {},
      presenceListener: { joined() {}, changed() {}, adopted() {}, left() {} },
    });
    await this.#hub.start();
    const outlet = new RecordingOutlet(clock);
    const send = outlet.deliver.bind(outlet);
    outlet.deliver = (address, body) => {
      send(address, body);
      for (const id of address.toString().split(" ").map(Number)) this.#sent(id, body.toString());
    };
    outlet.close = (ids) => {
      for (const id of ids) this.#closed(id);
    };
    this.#outlet = outlet;
    this.#server = this.#hub.serveMongrel2("main", outlet, { keepalive: 45_000, heartbeat: 15_000 });
    this.#server.start();
  }

  async run(it: Command): Promise<void> {
    if (it.do === "publish") return this.#publish(it);
    if (it.do === "remove") return this.#remove(it);
    if (it.do === "connect") this.#connect(it);
    else if (it.do === "reconnect") this.#reconnect(this.clients[it.which % Math.max(1, this.clients.length)]);
    else if (it.do === "pass") this.clock.advance(it.milliseconds);
    else if (it.do === "acknowledge") this.#outlet.acknowledgeAll();
    else if (it.do === "turn") await turn();
    else await this.#restart();
  }

  async #publish({ topics, isPrivate, ttlMs, isFinal, hasOwnId }: Extract<Command, { do: "publish" }>): Promise<void> {
    const number = this.events.length;
    const [first = "a", ...rest] = topics;
    const { last, epoch } = this.#history;
    const offset = last + 1;
    const publishedAt = this.clock.now();
    const id = hasOwnId ? `own ${number}` : `#${epoch}.${offset}`;
    const expiresAt = publishedAt + (ttlMs ?? Number.POSITIVE_INFINITY);
    // It may be sent before the call returns.
    this.events.push({ offset, id, topics, isPrivate, publishedAt, expiresAt, isRemoved: false });
    const published = this.#hub.publish({
      ...{ topics: [first, ...rest], data: `${number}`, private: isPrivate },
      ...(hasOwnId && { id }),
      ...(ttlMs !== undefined && { ttlMs }),
      ...(isFinal && { final: isFinal }),
    });
    this.#history.commit();
    assert.equal((await published).offset, offset);
  }

  async #remove({ what, which }: Extract<Command, { do: "remove" }>): Promise<void> {
    const event = this.events[which % Math.max(1, this.events.length)];
    if (!event) return;
    const target: RemovalTarget =
      what === "topic"
        ? { topic: event.topics[0] ?? "" }
        : what === "id"
          ? { id: event.id }
          : { before: event.publishedAt };
    const isConcerned = (it: ModelEvent) =>
      "topic" in target
        ? it.topics.includes(target.topic)
        : "id" in target
          ? it.id === target.id
          : it.publishedAt < target.before;
    const removed = this.#hub.remove({ ...target, through: this.#history.last });
    for (const it of this.events) if (isConcerned(it)) it.isRemoved = true;
    this.#history.commit();
    await removed;
  }

  #connect({ topic: wanted, hasGrants }: Extract<Command, { do: "connect" }>): void {
    const client: ModelClient = {
      ...{ topic: wanted, hasGrants, connection: 0, lastEventId: "", through: this.#history.last },
      received: new Set(),
    };
    this.clients.push(client);
    this.#open(client, undefined);
  }

  #reconnect(client: ModelClient | undefined): void {
    if (!client) return;
    if (client.connection > 0) this.#hub.leave(this.#server, client.connection, "left");
    this.#closed(client.connection);
    this.#open(client, client.lastEventId);
  }

  #open(client: ModelClient, lastEventId: string | undefined): void {
    const id = ++this.#lastConnection;
    client.connection = id;
    this.#byConnection.set(id, client);
    const any = { kind: "any" } as const;
    const selector = client.topic === undefined ? any : ({ kind: "exact", value: client.topic } as const);
    const interest = { selectors: [selector], grants: client.hasGrants ? [any] : [] };
    openStream(this.#hub, this.#server, { id, remote: "127.0.0.1", interest, lastEventId });
  }

  #closed(id: number): void {
    const client = this.#byConnection.get(id);
    this.#byConnection.delete(id);
    if (client?.connection === id) client.connection = 0;
  }

  /** Compares what leaves with what may leave now. */
  #sent(connection: number, text: string): void {
    const client = this.#byConnection.get(connection);
    assert.ok(client, `${connection} is no client`);
    for (const { id, type, data } of decodeEvents(text.replace(/^: open\n\n/, ""))) {
      if (type === undefined && data !== undefined) this.#received(client, Number(data));
      const offset = id === undefined ? undefined : offsetOf(this.#history.epoch, id);
      if (type === "m2push-gap") client.through = Math.max(client.through, offset ?? 0);
      if (id !== undefined) client.lastEventId = id;
    }
  }

  #received(client: ModelClient, number: number): void {
    const event = this.events[number] ?? assert.fail(`event ${number} was not published`);
    const told = `event ${event.offset} to the client of ${client.topic ?? "*"}`;
    assert.ok(event.offset > Math.max(0, ...client.received), `${told} twice, or out of order`);
    assert.ok(event.expiresAt > this.clock.now(), `${told} after its expiry`);
    assert.ok(!event.isRemoved, `${told} after its removal`);
    assert.ok(isFor(client, event), `${told} is foreign`);
    client.received.add(event.offset);
  }

  async #restart(): Promise<void> {
    this.#hub.handOver();
    await this.#history.close();
    await this.open();
    for (const client of this.clients) client.connection = 0;
    this.#byConnection.clear();
    for (const client of this.clients) this.#reconnect(client);
  }

  /** Every client comes back and gets everything that is left; then nothing that it could get may be missing. */
  async finish(): Promise<void> {
    for (const client of this.clients) if (client.connection === 0) this.#reconnect(client);
    for (let round = 0; round < 50; round++) {
      this.#outlet.acknowledgeAll();
      this.clock.advance(1);
      await turn();
    }
    for (const client of this.clients) {
      const missing = this.events.filter(
        (event) =>
          event.offset > client.through &&
          event.expiresAt === Infinity &&
          !event.isRemoved &&
          isFor(client, event) &&
          !client.received.has(event.offset),
      );
      assert.deepEqual(missing, [], `the client of ${client.topic ?? "*"} misses events`);
    }
  }

  async close(): Promise<void> {
    this.#hub.handOver();
    await this.#history.close();
  }
}

const isFor = ({ topic: wanted, hasGrants }: ModelClient, { topics, isPrivate }: ModelEvent): boolean =>
  (wanted === undefined || topics.includes(wanted)) && (hasGrants || !isPrivate);

describe("Expiry, removal, trims and restarts", () => {
  test("no client gets an event twice, expired, removed or foreign, or misses one untold", async (t: TestContext) => {
    const folder = temporaryDirectory();
    t.after(() => removeDirectory(folder));
    let count = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(command, { minLength: 20, maxLength: 60 }), async (commands) => {
        await runModel(new Model(join(folder, `${count++}`)), commands);
      }),
      { numRuns: 60 },
    );
  });
});
