/**
 * Two nodes of a cluster, their clients, and a model of what each client must get and may get. What is not as it should be throws when it is
 * sent; what is missing shows in finish().
 */
import assert from "node:assert/strict";
import type { Dial } from "../../../src/cluster/stream-session.js";
import type { DeliveryEvent } from "../../../src/delivery/events.js";
import type { Interest } from "../../../src/matching/interest.js";
import { ANY, canonical, type Selector } from "../../../src/matching/selector.js";
import { offsetOf } from "../../../src/protocol/position.js";
import type { Publication } from "../../../src/protocol/publication.js";
import type { RemovalTarget } from "../../../src/protocol/removal.js";
import { decodeEvents } from "../../../src/protocol/sse.js";
import type { Clock } from "../../../src/util/clock.js";
import { ModelClient } from "./client.js";
import { type Command, type StateKind, TOPICS } from "./commands.js";
import { ModelNode } from "./node.js";

/** What the nodes share. */
export interface Backend {
  readonly clock: Clock;
  readonly wires: readonly { readonly dial: Dial; cut(): void; restore(): void }[];
  /** Moves the wall clock. */
  pass(ms: number): void;
  /** Resolves when the nodes had time for something; by their clock it may be as much as this. */
  wait(ms: number): Promise<void>;
  /** Whether the stream trims its oldest messages. */
  readonly isTrimmed: boolean;
  /** The texts of all messages that the stream holds. */
  stored(): Promise<readonly string[]>;
}

export interface ModelEvent {
  readonly number: number;
  readonly topics: readonly string[];
  readonly isPrivate: boolean;
  readonly hasTtl: boolean;
  readonly isFinal: boolean;
  readonly ownId: string | undefined;
  /** Undefined: no node is known to have taken it. */
  offset: number | undefined;
  expiresAt: number;
  time: number;
  /** A removal of it was asked for, whether it was carried out or not. */
  mayBeRemoved: boolean;
}

/** A place for a node: nodes follow each other there. */
export interface Place {
  readonly number: number;
  node: ModelNode;
  /** What this node must not show any more. */
  readonly removed: Set<ModelEvent>;
}

/** What synchronize() publishes. */
const MARK = "mark";
const turn = () => new Promise((resolve) => setImmediate(resolve));
const exact = (value: string): Selector => ({ kind: "exact", value });
const interestOf = (topics: readonly string[], hasGrants: boolean): Interest => ({
  selectors: canonical(topics.length === 0 ? [ANY] : topics.map(exact)),
  grants: hasGrants ? [ANY] : [],
});

export class World {
  readonly events: ModelEvent[] = [];
  readonly clients: ModelClient[] = [];
  readonly backend: Backend;
  readonly places: Place[] = [];
  readonly #byConnection = new Map<number, ModelClient>();
  /** Everything that any node has removed. */
  readonly #removed = new Set<ModelEvent>();
  readonly #underWay = new Set<Promise<unknown>>();
  #lastConnection = 0;
  /** What was thrown within a call of the hub, which may catch it. */
  #fault: unknown;

  constructor(backend: Backend) {
    this.backend = backend;
  }

  get epoch(): string {
    return this.places[0]?.node.history.epoch ?? "";
  }

  async open(): Promise<void> {
    for (const number of [0, 1]) {
      const place = { number, removed: new Set<ModelEvent>() } as unknown as Place;
      this.places.push(place);
      await this.#start(place);
    }
  }

  /** A node knows the removals that were taken before it started. */
  async #start(place: Place): Promise<void> {
    place.removed.clear();
    for (const event of this.#removed) place.removed.add(event);
    place.node = await ModelNode.open({
      clock: this.backend.clock,
      dial: (this.backend.wires[place.number] as Backend["wires"][number]).dial,
      observe: (event) => this.#observe(place, event),
      sent: (connection, text) => this.#guard(() => this.#sent(connection, text)),
      closed: (connection) => this.#guard(() => this.#closed(connection, true)),
    });
    const { history } = place.node;
    for (let at = history.floor; at < history.last; ) {
      const page = await history.read(at, { through: history.last, maxBytes: 1e9, hidden: true });
      for (const publication of page.publications) this.#taken(publication);
      at = Math.max(page.through, at + 1);
    }
  }

  #guard(run: () => void): void {
    try {
      run();
    } catch (error) {
      this.#fault ??= error;
    }
  }

  #observe(place: Place, event: DeliveryEvent): void {
    if (event.type === "published") this.#guard(() => this.#taken(event.publication));
    else if (event.type === "removed") this.#removedAt(place, event.removal);
    else if (event.type === "topicsChanged") {
      const client = this.#byConnection.get(event.client.id);
      const { interest } = event.client.audience;
      client?.periods.push({ after: place.node.server.sentOffset(event.client), interest });
    }
  }

  #taken({ offset, bytes, time, expiresAt = Number.POSITIVE_INFINITY }: Publication): void {
    const event = this.events[Number(/^data: (\d+)$/m.exec(bytes.toString())?.[1])];
    if (!event) return;
    assert.equal(event.offset ?? offset, offset, `event ${event.number} is stored twice`);
    Object.assign(event, { offset, time, expiresAt });
  }

  #removedAt({ removed }: Place, removal: RemovalTarget & { readonly through: number }): void {
    for (const event of this.events) {
      if (event.offset === undefined || event.offset > removal.through || !this.#concerns(removal, event)) continue;
      removed.add(event);
      this.#removed.add(event);
    }
  }

  #concerns(target: RemovalTarget, event: ModelEvent): boolean {
    if ("topic" in target) return event.topics.includes(target.topic);
    return "id" in target ? this.#idOf(event) === target.id : event.time < target.before;
  }

  #idOf({ ownId, offset }: ModelEvent): string {
    return ownId ?? `#${this.epoch}.${offset}`;
  }

  async run(it: Command): Promise<void> {
    if (it.do === "publish") this.#publish(it);
    else if (it.do === "remove") this.#remove(it);
    else if (it.do === "connect") await this.#connect(it);
    else if (it.do === "change") this.#change(this.#client(it.which), it.topics);
    else if (it.do === "reconnect") await this.#reconnect(this.#client(it.which), this.#place(it.node));
    else if (it.do === "pass") this.backend.pass(it.milliseconds);
    else if (it.do === "cut" || it.do === "restore") this.backend.wires[it.node]?.[it.do]();
    else if (it.do === "restart") await this.#restart(this.#place(it.node));
    else if (it.do === "acknowledge") for (const { node } of this.places) node.acknowledge();
    for (let count = 0; count < 3; count++) await turn();
    this.check();
    for (const client of this.clients) client.noteState();
  }

  check(): void {
    if (this.#fault !== undefined) throw this.#fault;
  }

  #client = (which: number): ModelClient | undefined => this.clients[which % Math.max(1, this.clients.length)];
  #place = (number: number): Place => this.places[number % this.places.length] as Place;

  #publish({ node, topics, isPrivate, ttlMs, isFinal, hasOwnId }: Extract<Command, { do: "publish" }>): void {
    const number = this.events.length;
    const ownId = hasOwnId ? `own ${number}` : undefined;
    const [first = "a", ...rest] = topics;
    this.events.push({
      ...{ number, topics, isPrivate, isFinal, ownId, hasTtl: ttlMs !== undefined, offset: undefined },
      ...{ expiresAt: Number.POSITIVE_INFINITY, time: 0, mayBeRemoved: false },
    });
    this.#await(
      this.#place(node).node.hub.publish({
        ...{ topics: [first, ...rest], data: `${number}`, private: isPrivate },
        ...(ownId !== undefined && { id: ownId }),
        ...(ttlMs !== undefined && { ttlMs }),
        ...(isFinal && { final: isFinal }),
      }),
    );
  }

  #remove({ node, what, which, isCut }: Extract<Command, { do: "remove" }>): void {
    const event = this.events.at(-1 - (which % Math.max(1, this.events.length)));
    if (event?.offset === undefined) return;
    const { hub, history } = this.#place(node).node;
    const target: RemovalTarget =
      what === "topic"
        ? { topic: event.topics[0] ?? "" }
        : what === "id"
          ? { id: this.#idOf(event) }
          : { before: event.time };
    const through = history.last;
    for (const it of this.events)
      if (it.offset !== undefined && it.offset <= through && this.#concerns(target, it)) it.mayBeRemoved = true;
    this.#await(hub.remove({ ...target, through }));
    if (isCut) this.backend.wires[node]?.cut();
  }

  /** What a cut wire keeps from its answer is refused in the end. */
  #await(promise: Promise<unknown>): void {
    const done = promise.catch(() => {}).then(() => void this.#underWay.delete(done));
    this.#underWay.add(done);
  }

  async #connect({ node, topics, hasGrants, state }: Extract<Command, { do: "connect" }>): Promise<void> {
    const client = new ModelClient(this, this.clients.length, interestOf(topics, hasGrants));
    this.clients.push(client);
    await this.#open(client, this.#place(node), state);
  }

  /** As the subscribe route does. A request that waits for a cut wire is given up. */
  async #open(client: ModelClient, place: Place, state?: { kind: StateKind; count: number }): Promise<void> {
    const id = ++this.#lastConnection;
    const { hub, server, history } = place.node;
    const { address: interest, lastEventId } = client;
    const since = this.backend.clock.now() - 1000 * (state?.count ?? 0);
    const replay = await this.#answered(
      state?.kind === "since" ? hub.findReplaySince(since) : hub.findReplay(lastEventId),
    );
    const end = await this.#answeredEnd(hub, interest);
    if (!replay || place.node.hub !== hub) return;
    if (
      typeof end === "number" &&
      typeof replay.offset === "number" &&
      replay.offset >= end &&
      lastEventId !== undefined
    )
      return client.stop(end);
    this.#byConnection.set(id, client);
    client.opened(place, id, history.last, state && { ...state, since });
    hub.subscribe(server, {
      ...{ id, remote: "127.0.0.1", interest, replay, head: Buffer.from(": open\n\n") },
      selection:
        state?.kind === "last"
          ? { kind: "last", count: state.count }
          : state?.kind === "latest"
            ? { kind: "latest" }
            : undefined,
      control: { name: `stream ${id}`, dialect: "0.x" },
      hasEnded: typeof end === "number",
    });
  }

  async #answeredEnd(hub: ModelNode["hub"], interest: Interest): Promise<number | undefined> {
    for (let count = 0; count < 20; count++) {
      const end = hub.topicEnd(interest);
      if (!(end instanceof Promise)) return end;
      if ((await this.#answered(end.then(() => true))) === undefined) return undefined;
    }
    return undefined;
  }

  /** Undefined where it does not come in some turns of the event loop. */
  async #answered<Value>(value: Value | Promise<Value>): Promise<Value | undefined> {
    let result: Value | undefined;
    void Promise.resolve(value).then(
      (it) => {
        result = it;
      },
      () => {},
    );
    for (let count = 0; count < 50 && result === undefined; count++) await turn();
    return result;
  }

  #change(client: ModelClient | undefined, topics: readonly string[]): void {
    if (!client?.place || client.state) return;
    const { hub } = client.place.node;
    const interest = interestOf(topics, client.address.grants.length > 0);
    const decide = () => ({ interest, subscriber: undefined, notice: "{}" });
    hub.streams.change(`stream ${client.connection}`, undefined, decide).catch(() => {}); // its node may be closed before
  }

  async #reconnect(client: ModelClient | undefined, place: Place): Promise<void> {
    if (!client || client.hasStopped) return;
    if (client.place) client.place.node.hub.leave(client.place.node.server, client.connection, "left");
    this.#closed(client.connection);
    await this.#open(client, place);
  }

  #closed(connection: number, isByNode = false): void {
    const client = this.#byConnection.get(connection);
    this.#byConnection.delete(connection);
    if (client?.connection !== connection) return;
    if (isByNode) client.closed();
    else client.left();
  }

  /** Compares what leaves with what may leave now. */
  #sent(connection: number, text: string): void {
    const client = this.#byConnection.get(connection);
    assert.ok(client, `${connection} is no client`);
    for (const { id, type, data } of decodeEvents(text.replace(/^: open\n\n/, ""))) {
      if (type === undefined && data !== undefined && data !== MARK) client.received(this.events[Number(data)]);
      const offset = id === undefined ? undefined : offsetOf(this.epoch, id);
      if (type === "m2push-gap") {
        assert.ok(
          this.backend.isTrimmed,
          `client ${client.number} was told of a gap, although nothing was trimmed: ${data}`,
        );
        client.told(offset ?? 0);
      }
      if (id !== undefined) client.lastEventId = id;
    }
  }

  /** The offset of an id of a stream. */
  offsetOf(id: string): number | undefined {
    return offsetOf(this.epoch, id) ?? this.events.find(({ ownId }) => ownId === id)?.offset;
  }

  async #restart(place: Place): Promise<void> {
    this.backend.wires[place.number]?.restore();
    const leaving = this.clients.filter((client) => client.place === place);
    await this.#withTime(place.node.close());
    for (const client of leaving) this.#closed(client.connection);
    await this.#withTime(this.#start(place));
    for (const client of leaving) await this.#reconnect(client, place);
  }

  async #withTime(promise: Promise<void>): Promise<void> {
    let isDone = false;
    const done = promise.finally(() => {
      isDone = true;
    });
    while (!isDone) {
      await this.backend.wait(50);
    }
    await done;
  }

  /** Every client comes back and gets everything that is left; then nothing that it must get may be missing. */
  async finish(): Promise<void> {
    for (const wire of this.backend.wires) wire.restore();
    await this.#synchronize(() => this.#underWay.size === 0);
    for (let round = 0; round < 3; round++) {
      for (const client of this.clients) if (!client.place) await this.#reconnect(client, this.#place(client.number));
      await this.#synchronize(() => this.places.every(({ node }) => node.isQuiet));
    }
    const stored = (await this.backend.stored()).flatMap((text) => /"data":"(\d+)"/.exec(text)?.[1] ?? []);
    const isStored = new Set(stored.map((number) => this.events[Number(number)]));
    for (const client of this.clients) client.finish((event) => isStored.has(event));
    await this.#erased();
  }

  /** Both nodes have taken what either has published, and a condition holds. */
  async #synchronize(holds: () => boolean): Promise<void> {
    const positions: (number | undefined)[] = this.places.map(() => undefined);
    for (const [at, { node }] of this.places.entries())
      this.#await(
        this.#publishMark(node).then((offset) => {
          positions[at] = offset;
        }),
      );
    const isThere = () =>
      positions.every((it) => it !== undefined && this.places.every(({ node }) => node.history.last >= it));
    for (let count = 0; !(isThere() && holds()); count++) {
      assert.ok(
        count < 20_000,
        `the nodes do not synchronize: ${positions}, ${this.places.map(({ node }) => node.history.last)}`,
      );
      for (const { node } of this.places) node.acknowledge();
      await this.backend.wait(1);
      this.check();
      for (const client of this.clients) client.noteState();
    }
  }

  #publishMark({ cluster }: ModelNode): Promise<number> {
    return cluster.bus.publish({ topics: ["none"], data: MARK, private: true }).then(({ offset }) => offset);
  }

  /** The stream holds nothing of what was removed. */
  async #erased(): Promise<void> {
    const left = async () => {
      const texts = await this.backend.stored();
      return [...this.#removed].filter(({ number }) => texts.some((text) => text.includes(`"data":"${number}"`)));
    };
    for (let count = 0; this.places.some(({ node }) => node.history.removals.size > 0); count++) {
      assert.ok(count < 5000, "removals are not carried out");
      await this.backend.wait(100);
    }
    assert.deepEqual(await left(), [], "the stream holds what was removed");
  }

  /** Which of the newest events of a topic counts for a client of a node: undefined = none. */
  newestOf(topic: string, place: Place, isSeen: (event: ModelEvent) => boolean): ModelEvent | undefined {
    const { last } = place.node.history;
    return this.events
      .filter((it) => it.offset !== undefined && it.offset <= last && it.topics.includes(topic) && isSeen(it))
      .sort((one, other) => (other.offset ?? 0) - (one.offset ?? 0))
      .find((it) => !place.removed.has(it) && it.expiresAt > this.backend.clock.now());
  }

  async close(): Promise<void> {
    for (const { node } of this.places) await this.#withTime(node.close());
  }

  readonly topics = TOPICS;
}
