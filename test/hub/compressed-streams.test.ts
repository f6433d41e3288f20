/**
 * A model of compressed streams beside plain ones: whatever happens, each client decodes exactly the events that it should get, byte for byte.
 * A client that rides with a wrong window would decode others, without an error.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { constants, gunzipSync } from "node:zlib";
import fc from "fast-check";
import type { StoredClient } from "../../src/delivery/client-store.js";
import { Compression, type CompressionMode } from "../../src/delivery/compression.js";
import { EVERYTHING_PUBLIC, type Interest } from "../../src/matching/interest.js";
import { canonical, type Selector } from "../../src/matching/selector.js";
import { type Bench, bench } from "../support/hub.js";
import { readReceived } from "../support/received.js";

const HEAD = "HTTP/1.1 200 OK\r\n\r\n";
const TOPICS = ["a", "b"] as const;
const GRANT: Selector = { kind: "exact", value: "a" };
const MAX_WINDOWS = 2;
/** Below Mongrel2's limit for a burst of messages (docs/architecture/mongrel2.md 2.1). */
const MAX_BURST = 40;

interface ClientKind {
  readonly isCompressed: boolean;
  readonly topics: readonly number[];
  readonly isGranted: boolean;
  readonly hasHeartbeatEvents: boolean;
}

/** What the model knows of a client. */
interface Modelled extends ClientKind {
  /** It gets what follows; undefined = its first position says where it begins, which is here or before. */
  readonly after: number | undefined;
  readonly joinedAt: number;
}

type Step =
  | { readonly name: "join"; readonly kind: ClientKind; readonly count: number; readonly isReplaying: boolean }
  | { readonly name: "leave"; readonly which: number }
  | {
      readonly name: "publish";
      readonly topic: number;
      readonly isPrivate: boolean;
      readonly count: number;
      readonly isPaced: boolean;
    }
  | { readonly name: "pass" | "discard" | "lost" | "killed" | "refill" }
  | { readonly name: "alone"; readonly which: number }
  | { readonly name: "advance"; readonly ms: number };

/** Most clients belong to one audience: it has a window, riders and waiters. */
const USUAL: ClientKind = { isCompressed: true, topics: [0, 1], isGranted: false, hasHeartbeatEvents: false };
const kinds: fc.Arbitrary<ClientKind> = fc.oneof(
  { weight: 4, arbitrary: fc.constant(USUAL) },
  {
    weight: 1,
    arbitrary: fc.record({
      isCompressed: fc.boolean(),
      topics: fc.subarray([0, 1], { minLength: 1 }),
      isGranted: fc.boolean(),
      hasHeartbeatEvents: fc.boolean(),
    }),
  },
);

const steps: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      name: fc.constant("join" as const),
      kind: kinds,
      count: fc.integer({ min: 1, max: 12 }),
      isReplaying: fc.boolean(),
    }),
  },
  { weight: 3, arbitrary: fc.record({ name: fc.constant("leave" as const), which: fc.nat() }) },
  {
    weight: 12,
    arbitrary: fc.record({
      name: fc.constant("publish" as const),
      topic: fc.integer({ min: 0, max: 1 }),
      isPrivate: fc.integer({ min: 0, max: 9 }).map((it) => it === 0),
      count: fc.oneof(fc.integer({ min: 1, max: 4 }), fc.integer({ min: 1, max: MAX_BURST })),
      isPaced: fc.boolean(),
    }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      name: fc.constantFrom("pass" as const, "refill" as const),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ name: fc.constantFrom("lost" as const, "killed" as const, "discard" as const) }),
  },
  { weight: 2, arbitrary: fc.record({ name: fc.constant("alone" as const), which: fc.nat() }) },
  {
    weight: 3,
    arbitrary: fc.record({ name: fc.constant("advance" as const), ms: fc.constantFrom(1, 100, 16_000, 400_000) }),
  },
);

/** The daemon and its clients, whose connections outlive it. */
class World {
  readonly #mode: CompressionMode;
  /** Of every connection, bytes; undefined = no flow control. */
  readonly #creditLimit: number | undefined;
  #bench!: Bench;
  readonly #clients = new Map<number, Modelled>();
  /** Wire bytes that were counted as written, by connection. */
  readonly #credited = new Map<number, number>();
  /** Each event as it must be decoded, and who gets it, by its offset. */
  readonly #events = new Map<number, { readonly text: string; readonly topic: number; readonly isPrivate: boolean }>();
  #compression: Compression | undefined;
  #nextId = 1;
  #random = 7;

  private constructor(mode: CompressionMode, creditLimit: number | undefined) {
    this.#mode = mode;
    this.#creditLimit = creditLimit;
  }

  static async open(mode: CompressionMode, creditLimit: number | undefined): Promise<World> {
    const world = new World(mode, creditLimit);
    await world.#start();
    return world;
  }

  async #start(previous?: Bench): Promise<void> {
    this.#bench = await bench({
      maxTargets: 3,
      ...(previous && { previous, outlet: previous.outlet }),
      compression: (clock) => {
        const failed = (error: Error) => assert.fail(error);
        this.#compression = new Compression({ mode: this.#mode, clock, failed, maxWindowCount: MAX_WINDOWS });
        return this.#compression;
      },
    });
  }

  async take(step: Step): Promise<void> {
    const { hub, server, outlet, clock } = this.#bench;
    const ids = [...this.#clients.keys()];
    switch (step.name) {
      case "join":
        for (let count = 0; count < step.count; count++) this.#join(step.kind, step.isReplaying);
        return;
      case "leave":
        return this.#leave(ids[step.which % ids.length]);
      case "publish":
        for (let count = 0; count < step.count; count++) {
          await this.#publish(step.topic, step.isPrivate);
          if (step.isPaced) outlet.acknowledgeAll();
        }
        return;
      case "pass":
        return void outlet.step();
      case "advance":
        return clock.advance(step.ms);
      case "discard":
        return server.discard();
      case "refill":
        return this.#refill();
      case "alone":
        return this.#alone(ids[step.which % ids.length]);
      case "lost": {
        outlet.dropFences();
        const stored = hub.lost(server);
        server.start();
        for (const client of stored) hub.adopt(server, client);
        return;
      }
      case "killed":
        return this.#restart();
    }
  }

  #join(kind: ClientKind, isReplaying: boolean): void {
    const { connect, history } = this.#bench;
    const id = this.#nextId++;
    const after = isReplaying ? Math.floor(history.last / 2) : history.last;
    const { isCompressed, isGranted, hasHeartbeatEvents } = kind;
    const interest: Interest = {
      selectors: canonical(kind.topics.map((at) => ({ kind: "exact", value: TOPICS[at] ?? "" }))),
      grants: isGranted ? [GRANT] : [],
      ...(isCompressed && { isCompressed }),
      ...(hasHeartbeatEvents && { hasHeartbeatEvents }),
    };
    this.#clients.set(id, { ...kind, after: isReplaying ? after : undefined, joinedAt: history.last });
    connect(id, {
      interest,
      head: Buffer.from(HEAD),
      ...(this.#creditLimit !== undefined && { creditLimit: this.#creditLimit }),
      ...(isReplaying && after > 0 && { lastEventId: `#${history.epoch}.${after}` }),
      ...(isReplaying && after === 0 && { lastEventId: "earliest" }),
    });
  }

  #leave(id: number | undefined): void {
    if (id === undefined) return;
    this.#check(id, false);
    this.#clients.delete(id);
    this.#bench.hub.end(this.#bench.server, id, "kicked");
  }

  async #publish(topic: number, isPrivate: boolean): Promise<void> {
    this.#random = (this.#random * 48_271) % 2_147_483_647;
    const data = `{"symbol":"S${this.#random % 7}","price":${this.#random % 10_000},"text":"${"é".repeat(this.#random % 30)}"}`;
    const name = TOPICS[topic] ?? "";
    const { offset, bytes } = await this.#bench.hub.publish({ topics: [name], data, private: isPrivate });
    this.#events.set(offset, { text: bytes.toString(), topic, isPrivate });
  }

  /** Something for one client that its audience does not get. */
  #alone(id: number | undefined): void {
    const { server } = this.#bench;
    const client = id === undefined ? undefined : server.clients.get(id);
    const comment = Buffer.from(":alone\n");
    if (!client || client.creditAvailable < client.audience.maxWireBytes(comment.length)) return;
    server.sendAlone([client], comment);
  }

  /** Mongrel2 has written everything. */
  #refill(): void {
    const { server, outlet } = this.#bench;
    const creditLimit = this.#creditLimit;
    if (creditLimit === undefined) return;
    for (const [id, { isCompressed }] of this.#clients) {
      const sent = () => (outlet.bodies.get(id) ?? []).reduce((sum, { length }) => sum + length, 0);
      const written = sent();
      server.credit(id, written - (this.#credited.get(id) ?? 0));
      this.#credited.set(id, written);
      // What follows at once is in flight. Heartbeats of plain ones are not counted.
      const left = server.clients.get(id)?.creditAvailable;
      if (isCompressed && left !== undefined) assert.equal(left, creditLimit - (sent() - written), `credit of ${id}`);
    }
  }

  /** A new process has what the store has. */
  async #restart(): Promise<void> {
    const before = this.#bench;
    before.hub.handOver();
    before.outlet.dropFences();
    const { through } = before.store;
    await this.#start(before);
    const { hub, server, store } = this.#bench;
    for (const client of [...store.clients.values()]) {
      const { coveredByServerFence: isCovered, acknowledgedOffset: own } = client;
      const stored: StoredClient = { ...client, acknowledgedOffset: isCovered ? Math.max(own, through) : own };
      if (this.#clients.has(client.id)) hub.adopt(server, stored);
    }
  }

  /** Everything that was published is delivered; then all leave. */
  async finish(): Promise<void> {
    const { outlet, server, clock } = this.#bench;
    for (let round = 0; round < 2000; round++) {
      await new Promise(setImmediate); // reads of the history
      outlet.acknowledgeAll();
      this.#refill();
      server.flush();
      if (outlet.pendingFences === 0 && server.figures.behind === 0 && server.figures.waiting === 0) break;
      clock.advance(1);
    }
    assert.deepEqual([server.figures.behind, server.figures.waiting], [0, 0], "all are live");
    for (const id of [...this.#clients.keys()]) {
      this.#check(id, true);
      this.#bench.hub.end(server, id, "kicked");
    }
    assert.equal(this.#compression?.windows, 0, "windows of nobody");
  }

  get compression(): Compression | undefined {
    return this.#compression;
  }

  #check(id: number, isComplete: boolean): void {
    const client = this.#clients.get(id) as Modelled;
    const text = decoded(this.#bench.outlet.bodies.get(id) ?? [], client.isCompressed);
    const received = [...text.matchAll(/^(?:event: .*\n)?id: #[^.]+\.(\d+)\n(?:data: .*\n)+\n/gm)]
      .filter(([block]) => !block.startsWith("event: m2push-"))
      .map(([block, offset]) => {
        assert.equal(block, this.#events.get(Number(offset))?.text, `client ${id}`);
        return Number(offset);
      });
    const rest = text.replace(/^(?:event: .*\n)?(?:id: .*\n)?(?:data: .*\n)+\n|^id: .*\n\n|^:.*\n/gm, "");
    assert.equal(rest, "", `client ${id} has nothing else`);
    const position = Number(/^id: #[^.]+\.(\d+)$/m.exec(text)?.[1]);
    const { after = position } = client;
    assert.ok(after <= client.joinedAt, `client ${id} begins at ${after}`);
    const wanted = [...this.#events]
      .filter(([offset, { topic, isPrivate }]) => {
        const isVisible = !isPrivate || (client.isGranted && topic === 0);
        return offset > after && client.topics.includes(topic) && isVisible;
      })
      .map(([offset]) => offset);
    const { once } = readReceived(received);
    assert.deepEqual(once, isComplete ? wanted : wanted.slice(0, once.length), `client ${id}`);
  }
}

/** The text of a stream without its head. */
function decoded(bodies: readonly Buffer[], isCompressed: boolean): string {
  const bytes = Buffer.concat(bodies).subarray(HEAD.length);
  return (isCompressed ? gunzipSync(bytes, { finishFlush: constants.Z_SYNC_FLUSH }) : bytes).toString();
}

describe("compressed streams", () => {
  test("decode to what plain ones get, through joins, credits, catch-up, private events and restarts", async () => {
    const sum = { shared: 0, own: 0, stored: 0 };
    const property = fc.asyncProperty(
      fc.constantFrom<CompressionMode>("public", "all", "off"),
      fc.array(steps, { minLength: 20, maxLength: 120, size: "max" }),
      fc.constantFrom(undefined, undefined, 1500),
      async (mode, list, creditLimit) => {
        const world = await World.open(mode, creditLimit);
        for (const step of list) await world.take(step);
        await world.finish();
        const { counts } = world.compression as Compression;
        for (const [name, { bodies }] of Object.entries(counts)) sum[name as keyof typeof sum] += bodies;
        if (mode === "off") assert.deepEqual([counts.shared.bodies, counts.own.bodies], [0, 0]);
      },
    );
    await fc.assert(property, { numRuns: 60 });
    for (const [name, bodies] of Object.entries(sum)) assert.ok(bodies > 1000, `${bodies} ${name} bodies`);
  });

  test("count a body of the history once for each client that had credit for it", async () => {
    let compression: Compression | undefined;
    const { server, outlet, connect, publish } = await bench({
      compression: (clock) => {
        compression = new Compression({ mode: "public", clock, failed: (error) => assert.fail(error) });
        return compression;
      },
    });
    publish("one");
    const options = {
      ...{ interest: { ...EVERYTHING_PUBLIC, isCompressed: true as const }, head: Buffer.from(HEAD) },
      ...{ lastEventId: "earliest", creditLimit: 1_000_000 },
    };
    for (const id of [1, 2, 3]) connect(id, options);
    server.clients.get(3)?.debit(1_000_000);
    outlet.acknowledgeAll();
    const sent = () => [1, 2, 3].map((id) => (outlet.bodies.get(id)?.length ?? 0) - 1); // without the opening
    assert.deepEqual([sent(), compression?.counts.stored.bodies], [[1, 1, 0], 2]);
    server.credit(3, 1_000_000);
    outlet.acknowledgeAll();
    assert.deepEqual([sent(), compression?.counts.stored.bodies], [[1, 1, 1], 3]);
  });
});
