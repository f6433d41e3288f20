/**
 * The daemons that share a stream tell one another who they are, how far they have come, and who is subscribed at each. It is
 * told on a subject of its own, at most once and not kept: whatever depends on it must bear that it is a few seconds old.
 *
 * Every node numbers what it tells. Whoever hears a gap in the numbers, or of a node that it does not know, asks that node to
 * tell everything anew: a message that says `anew`, and as many more as it takes. A node that is silent is forgotten.
 *
 * The same messages are how watchers of subscriptions at one node are told of those at the others: what is repeated is no event, and
 * where a message was missed, events may have been. Nothing is sent for watchers that is not sent for the list of subscribers.
 */

import type { Subscriber } from "../delivery/subscriber.js";
import type { NodeSnapshot, NodeState } from "../hub/node-state.js";
import type { RemotePresenceObserver } from "../hub/presence-listener.js";
import type { Cancel, Clock } from "../util/clock.js";
import type { StreamSession } from "./stream-session.js";

export interface NodesOptions {
  readonly clock: Clock;
  /** No other node has or had it. */
  readonly id: string;
  readonly state: () => NodeState;
}

interface NodeMessage {
  readonly node: string;
  /** One more than the last of this node's messages. */
  readonly number: number;
  readonly state: NodeState;
  /** Forget who was subscribed there: here they are, and in the messages that follow. */
  readonly full?: true;
  readonly joined?: readonly Subscriber[];
  /** Ids of those in `joined` who have just come. */
  readonly began?: readonly string[];
  readonly left?: readonly string[];
  /** They left, and were never told of as joined by this node: an earlier process served them. */
  readonly ended?: readonly Subscriber[];
  /** The node that is to tell everything anew; "*" = all. */
  readonly ask?: string;
  /** It stops. */
  readonly gone?: true;
}

interface RemoteNode {
  state: NodeState;
  number: number;
  lastHeardAt: number;
  /** False while something of it was missed: `subscribers` may be wrong until it has told everything anew. */
  isComplete: boolean;
  readonly subscribers: Map<string, Subscriber>;
}

/** How often a node says that it is there, and after how long a silence it is forgotten, milliseconds. */
const HEARTBEAT_INTERVAL_MS = 2000;
const SILENCE_TIMEOUT_MS = 7000;
/** Who comes and goes within this time is told of together, milliseconds. */
const GATHER_INTERVAL_MS = 50;
/** Everything is told anew at most this often, milliseconds. */
const FULL_STATE_INTERVAL_MS = 1000;
/** Subscribers of one message, as JSON, in characters: far below NATS' limit of a megabyte. */
const MAX_MESSAGE_CHARACTERS = 100_000;

export class Nodes {
  readonly #options: NodesOptions;
  readonly #remoteNodes = new Map<string, RemoteNode>();
  /** Who is subscribed here, and of them who came and went since that was last told. */
  readonly #subscribers = new Map<string, Subscriber>();
  readonly #joined = new Map<string, Subscriber>();
  /** Of #joined, those who have just come. */
  readonly #began = new Set<string>();
  readonly #left: string[] = [];
  readonly #ended: Subscriber[] = [];
  #observer: RemotePresenceObserver = { joined() {}, left() {}, missed() {} };
  readonly #stopHeartbeat: Cancel;
  #scheduledChanges: Cancel | undefined;
  #session: StreamSession | undefined;
  #lastNumber = 0;
  #changes = 0;
  #fullStateSentAt = Number.NEGATIVE_INFINITY;
  #requestedAt = Number.NEGATIVE_INFINITY;
  #scheduledFullState: Cancel | undefined;

  constructor(options: NodesOptions) {
    this.#options = options;
    this.#stopHeartbeat = options.clock.every(HEARTBEAT_INTERVAL_MS, () => this.#sendHeartbeat());
  }

  /** From now on it is told here; undefined = nobody can be reached. */
  connect(session: StreamSession | undefined): void {
    if (session === this.#session) return;
    this.#session = session;
    if (!session) return;
    session.onBroadcast((data) => {
      if (session === this.#session) this.#receive(data);
    });
    this.#sendFullState("*");
  }

  observe(observer: RemotePresenceObserver): void {
    this.#observer = observer;
  }

  /** Somebody is subscribed here. `isNew`: has just come, and was not there before this process. */
  joined(subscriber: Subscriber, isNew = true): void {
    this.#subscribers.set(subscriber.id, subscriber);
    this.#joined.set(subscriber.id, subscriber);
    if (isNew) this.#began.add(subscriber.id);
    this.#scheduleChanges();
  }

  /** Somebody is not subscribed here any more, or was at an earlier process. */
  left(subscriber: Subscriber): void {
    const { id } = subscriber;
    if (this.#subscribers.delete(id)) this.#left.push(id);
    else this.#ended.push(subscriber);
    this.#joined.delete(id);
    this.#began.delete(id);
    this.#scheduleChanges();
  }

  /** Who is subscribed at the other nodes. One who is moving from one to another (a restart) may be there twice. */
  *subscribers(): Iterable<Subscriber> {
    for (const { subscribers } of this.#remoteNodes.values()) yield* subscribers.values();
  }

  /** Counts whatever changes subscribers(). */
  get changes(): number {
    return this.#changes;
  }

  /** Itself first. */
  snapshot(): NodeSnapshot[] {
    const now = this.#options.clock.monotonic();
    const own = this.#options.state();
    const others = [...this.#remoteNodes.values()];
    const furthest = Math.max(
      own.position,
      ...others.map(({ state }) => (state.epoch === own.epoch ? state.position : 0)),
    );
    const seen = (state: NodeState, heardAt: number, self: boolean) => {
      const lag = state.epoch === own.epoch ? furthest - state.position : 0;
      return { ...state, self, lag, heard: (now - heardAt) / 1000 };
    };
    return [seen(own, now, true), ...others.map(({ state, lastHeardAt: heardAt }) => seen(state, heardAt, false))];
  }

  /** Says good-bye. The session may be closed then. */
  close(): void {
    this.#stopHeartbeat();
    this.#scheduledChanges?.();
    this.#scheduledFullState?.();
    this.#send({ gone: true });
    this.#session = undefined;
  }

  #sendHeartbeat(): void {
    const since = this.#options.clock.monotonic() - SILENCE_TIMEOUT_MS;
    for (const [id, { lastHeardAt: heardAt }] of this.#remoteNodes)
      if (heardAt < since && this.#forget(id)) this.#observer.missed();
    this.#send({});
  }

  #forget(id: string): boolean {
    const isKnown = this.#remoteNodes.delete(id);
    if (isKnown) this.#changes++;
    return isKnown;
  }

  // ---- Telling -------------------------------------------------------------------------------------------------------

  /** What nobody can be told has a number, too: then they know that something is missing. */
  #send(what: Partial<NodeMessage>): void {
    const number = ++this.#lastNumber;
    if (!this.#session) return;
    const { id, state } = this.#options;
    const message: NodeMessage = { node: id, number, state: state(), ...what };
    this.#session.broadcast(Buffer.from(JSON.stringify(message)));
  }

  #scheduleChanges(): void {
    this.#scheduledChanges ??= this.#options.clock.after(GATHER_INTERVAL_MS, () => this.#sendChanges());
  }

  #sendChanges(): void {
    this.#scheduledChanges?.();
    this.#scheduledChanges = undefined;
    const [joined, left, ended] = [[...this.#joined.values()], this.#left.splice(0), this.#ended.splice(0)];
    const began = new Set(this.#began);
    this.#joined.clear();
    this.#began.clear();
    if (left.length > 0) this.#send({ left });
    for (const subscribers of chunks(ended)) this.#send({ ended: subscribers });
    for (const subscribers of chunks(joined)) {
      const newIds = subscribers.map(({ id }) => id).filter((id) => began.has(id));
      this.#send({ joined: subscribers, ...(newIds.length > 0 && { began: newIds }) });
    }
  }

  #sendFullState(ask?: string): void {
    this.#fullStateSentAt = this.#options.clock.monotonic();
    this.#sendChanges(); // who has just come or gone would be no news in what follows
    this.#send({ full: true, ...(ask !== undefined && { ask }) });
    for (const joined of chunks(this.#subscribers.values())) this.#send({ joined });
  }

  /** Many may ask at a time: they are answered together. */
  #scheduleFullState(): void {
    if (this.#scheduledFullState) return;
    const wait = this.#fullStateSentAt + FULL_STATE_INTERVAL_MS - this.#options.clock.monotonic();
    if (wait <= 0) this.#sendFullState();
    else {
      this.#scheduledFullState = this.#options.clock.after(wait, () => {
        this.#scheduledFullState = undefined;
        this.#sendFullState();
      });
    }
  }

  // ---- Hearing -------------------------------------------------------------------------------------------------------

  #receive(data: Uint8Array): void {
    const message = parseMessage(data);
    if (!message || message.node === this.#options.id) return;
    const { node: id, number, state, ask, gone } = message;
    if (gone) {
      this.#forget(id);
      return;
    }
    const known = this.#remoteNodes.get(id);
    const node = known ?? { state, number: 0, lastHeardAt: 0, isComplete: false, subscribers: new Map() };
    this.#remoteNodes.set(id, node);
    const isNext = number === node.number + 1;
    Object.assign(node, { state, number, heardAt: this.#options.clock.monotonic() });
    if (!isNext && (node.isComplete || !known)) this.#observer.missed();
    if (message.full) {
      node.isComplete = true;
      node.subscribers.clear();
      this.#changes++;
    } else if (!isNext || !known) node.isComplete = false;
    if (!node.isComplete) this.#requestFullState(id);
    this.#applyChanges(node, message);
    if (ask === "*" || ask === this.#options.id) this.#scheduleFullState();
  }

  #applyChanges(node: RemoteNode, { joined = [], began = [], left = [], ended = [] }: NodeMessage): void {
    const newIds = new Set(began);
    for (const id of left) {
      const subscriber = node.subscribers.get(id);
      node.subscribers.delete(id);
      if (subscriber) this.#observer.left(subscriber);
    }
    for (const subscriber of ended) this.#observer.left(subscriber);
    for (const subscriber of joined) {
      node.subscribers.set(subscriber.id, subscriber);
      if (newIds.has(subscriber.id)) this.#observer.joined(subscriber);
    }
    if (joined.length + left.length > 0) this.#changes++;
  }

  #requestFullState(id: string): void {
    const now = this.#options.clock.monotonic();
    if (now - this.#requestedAt < FULL_STATE_INTERVAL_MS) return; // its next beat comes, and this is asked again then
    this.#requestedAt = now;
    this.#send({ ask: id });
  }
}

/** By their size. */
function* chunks(subscribers: Iterable<Subscriber>): Iterable<Subscriber[]> {
  let [chunk, size]: [Subscriber[], number] = [[], 0];
  for (const subscriber of subscribers) {
    chunk.push(subscriber);
    size += JSON.stringify(subscriber).length;
    if (size < MAX_MESSAGE_CHARACTERS) continue;
    yield chunk;
    [chunk, size] = [[], 0];
  }
  if (chunk.length > 0) yield chunk;
}

/** Undefined = it is not ours: whoever may write to this subject is trusted, but may be of another version. */
function parseMessage(data: Uint8Array): NodeMessage | undefined {
  try {
    const message = JSON.parse(Buffer.from(data).toString()) as Partial<NodeMessage> | null;
    const isOurs =
      typeof message?.node === "string" &&
      typeof message.number === "number" &&
      typeof message.state?.name === "string" &&
      typeof message.state.position === "number" &&
      areSubscribers(message.joined ?? []) &&
      areSubscribers(message.ended ?? []) &&
      [message.left, message.began].every((list) => Array.isArray(list ?? []));
    return isOurs ? (message as NodeMessage) : undefined;
  } catch {
    return undefined;
  }
}

const areSubscribers = (list: unknown): boolean =>
  Array.isArray(list) && list.every((it) => typeof it?.id === "string" && Array.isArray(it.subscriptions));
