/**
 * Presence across the nodes of a cluster: the daemons of one stream broadcast their name, their position and their subscribers on a
 * subject of its own, with at-most-once delivery. The result may be a few seconds old.
 *
 * Every node numbers its messages. A receiver that finds a gap in the numbers, or an unknown node, requests that node's full state:
 * one message with `full`, and the rest of the subscribers in the messages that follow it. A silent node is removed.
 *
 * The same messages tell subscription watchers about the other nodes: repeated state is no event, and after a missed message events
 * may be missing (RemotePresenceObserver.missed).
 */

import type { Subscriber } from "../delivery/subscriber.js";
import type { NodeSnapshot, NodeState } from "../hub/node-state.js";
import type { RemotePresenceObserver } from "../hub/presence-listener.js";
import type { Cancel, Clock } from "../util/clock.js";
import { chunks, type NodeMessage, parseMessage } from "./node-message.js";
import { NodeRequests, type Peers } from "./node-requests.js";
import { NodeRevocations } from "./node-revocations.js";
import type { StreamSession } from "./stream-session.js";

export interface NodesOptions {
  readonly clock: Clock;
  /** Unique to this process. */
  readonly id: string;
  readonly state: () => NodeState;
}

interface RemoteNode {
  state: NodeState;
  number: number;
  lastHeardAt: number;
  /** False after a missed message: `subscribers` may be wrong until the full state arrives. */
  isComplete: boolean;
  readonly subscribers: Map<string, Subscriber>;
}

/** How often a node broadcasts its state, and after how long a silence it is removed. */
const HEARTBEAT_INTERVAL_MS = 2000;
const SILENCE_TIMEOUT_MS = 7000;
/** Subscribers that join and leave within this time share a message. */
const GATHER_INTERVAL_MS = 50;
/** A node sends its full state, and requests one, at most this often. */
const FULL_STATE_INTERVAL_MS = 1000;

/** How long a node is expected to start again after it stopped, or to be unknown after this one has connected. */
const START_TIMEOUT_MS = 10_000;

export class Nodes {
  /** To the other nodes. */
  readonly requests: NodeRequests;
  readonly revocations = new NodeRevocations((revoked) => this.#send({ revoked }));
  readonly #options: NodesOptions;
  readonly #remoteNodes = new Map<string, RemoteNode>();
  /** This node's subscribers, and those that joined and left since the last message. */
  readonly #subscribers = new Map<string, Subscriber>();
  readonly #joined = new Map<string, Subscriber>();
  /** Ids of the subscribers in #joined that have just subscribed. */
  readonly #began = new Set<string>();
  readonly #left: string[] = [];
  readonly #changed = new Map<string, Subscriber>();
  readonly #ended: Subscriber[] = [];
  #observer: RemotePresenceObserver = { joined() {}, changed() {}, left() {}, missed() {} };
  readonly #stopHeartbeat: Cancel;
  #scheduledChanges: Cancel | undefined;
  #session: StreamSession | undefined;
  #lastNumber = 0;
  #changes = 0;
  #fullStateSentAt = Number.NEGATIVE_INFINITY;
  #requestedAt = Number.NEGATIVE_INFINITY;
  #scheduledFullState: Cancel | undefined;
  /** When another node stopped or fell silent, or this one connected: Clock.monotonic(). */
  #changedAt = Number.NEGATIVE_INFINITY;

  constructor(options: NodesOptions) {
    this.#options = options;
    const { clock, id } = options;
    this.requests = new NodeRequests({ clock, id, peers: () => this.#peers() });
    this.#stopHeartbeat = options.clock.every(HEARTBEAT_INTERVAL_MS, () => this.#sendHeartbeat());
  }

  /** Broadcasts through this session from now on; undefined = disconnected. */
  connect(session: StreamSession | undefined): void {
    if (session === this.#session) return;
    this.#session = session;
    this.requests.connect(session);
    if (!session) return;
    this.#changedAt = this.#options.clock.monotonic();
    session.onBroadcast((data) => {
      if (session === this.#session) this.#receive(data);
    });
    this.#sendFullState("*");
  }

  observe(observer: RemotePresenceObserver): void {
    this.#observer = observer;
  }

  /** A subscriber of this node. `isNew`: it has just subscribed, and no earlier process served it. */
  joined(subscriber: Subscriber, isNew = true): void {
    this.#subscribers.set(subscriber.id, subscriber);
    this.#joined.set(subscriber.id, subscriber);
    if (isNew) this.#began.add(subscriber.id);
    this.#scheduleChanges();
  }

  /** The subscriptions of a subscriber of this node have changed. */
  changed(subscriber: Subscriber): void {
    const { id } = subscriber;
    this.#subscribers.set(id, subscriber);
    const waiting = this.#joined.has(id) ? this.#joined : this.#changed;
    waiting.set(id, subscriber);
    this.#scheduleChanges();
  }

  /** A subscriber of this node, or of an earlier process, has left. */
  left(subscriber: Subscriber): void {
    const { id } = subscriber;
    if (this.#subscribers.delete(id)) this.#left.push(id);
    else this.#ended.push(subscriber);
    this.#joined.delete(id);
    this.#changed.delete(id);
    this.#began.delete(id);
    this.#scheduleChanges();
  }

  /** The subscribers of the other nodes. One that moves between nodes (a restart) may be listed twice. */
  *subscribers(): Iterable<Subscriber> {
    for (const { subscribers } of this.#remoteNodes.values()) yield* subscribers.values();
  }

  /** Incremented when subscribers() changes. */
  get changes(): number {
    return this.#changes;
  }

  /** This node first. */
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

  /** Broadcasts that this node stops. The session may be closed afterwards. */
  close(): void {
    this.#stopHeartbeat();
    this.#scheduledChanges?.();
    this.#scheduledFullState?.();
    this.#send({ gone: true });
    this.#session = undefined;
  }

  #peers(): Peers {
    const areAllKnown = this.#options.clock.monotonic() - this.#changedAt > START_TIMEOUT_MS;
    return { ids: [...this.#remoteNodes.keys()], areAllKnown };
  }

  #sendHeartbeat(): void {
    const since = this.#options.clock.monotonic() - SILENCE_TIMEOUT_MS;
    for (const [id, { lastHeardAt: heardAt }] of this.#remoteNodes)
      if (heardAt < since && this.#forget(id)) this.#observer.missed();
    this.#send({});
  }

  #forget(id: string): boolean {
    const isKnown = this.#remoteNodes.delete(id);
    if (!isKnown) return false;
    this.#changes++;
    this.#changedAt = this.#options.clock.monotonic();
    return isKnown;
  }

  /** A message that cannot be sent uses a number as well: receivers then know that they missed one. */
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
    const changed = [...this.#changed.values()];
    this.#joined.clear();
    this.#changed.clear();
    this.#began.clear();
    if (left.length > 0) this.#send({ left });
    for (const subscribers of chunks(ended)) this.#send({ ended: subscribers });
    for (const subscribers of chunks(changed)) this.#send({ changed: subscribers });
    for (const subscribers of chunks(joined)) {
      const newIds = subscribers.map(({ id }) => id).filter((id) => began.has(id));
      this.#send({ joined: subscribers, ...(newIds.length > 0 && { began: newIds }) });
    }
  }

  #sendFullState(ask?: string): void {
    this.#fullStateSentAt = this.#options.clock.monotonic();
    this.#sendChanges(); // after the full state, joined and left subscribers would be no events
    this.#send({ full: true, ...(ask !== undefined && { ask }) });
    for (const joined of chunks(this.#subscribers.values())) this.#send({ joined });
    this.revocations.sendAll();
  }

  /** Requests of several nodes share one answer. */
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
    Object.assign(node, { state, number, lastHeardAt: this.#options.clock.monotonic() });
    if (!isNext && (node.isComplete || !known)) this.#observer.missed();
    if (message.full) {
      node.isComplete = true;
      node.subscribers.clear();
      this.#changes++;
    } else if (!isNext || !known) node.isComplete = false;
    if (!node.isComplete) this.#requestFullState(id);
    this.#applyChanges(node, message);
    this.revocations.receive(message.revoked);
    if (ask === "*" || ask === this.#options.id) this.#scheduleFullState();
  }

  #applyChanges(node: RemoteNode, { joined = [], began = [], changed = [], left = [], ended = [] }: NodeMessage): void {
    const newIds = new Set(began);
    for (const id of left) {
      const subscriber = node.subscribers.get(id);
      node.subscribers.delete(id);
      if (subscriber) this.#observer.left(subscriber);
    }
    for (const subscriber of ended) this.#observer.left(subscriber);
    for (const subscriber of changed) {
      const before = node.subscribers.get(subscriber.id);
      node.subscribers.set(subscriber.id, subscriber);
      if (before) this.#observer.changed(before, subscriber);
    }
    for (const subscriber of joined) {
      node.subscribers.set(subscriber.id, subscriber);
      if (newIds.has(subscriber.id)) this.#observer.joined(subscriber);
    }
    if (joined.length + changed.length + left.length > 0) this.#changes++;
  }

  #requestFullState(id: string): void {
    const now = this.#options.clock.monotonic();
    if (now - this.#requestedAt < FULL_STATE_INTERVAL_MS) return; // the next heartbeat of that node requests it again
    this.#requestedAt = now;
    this.#send({ ask: id });
  }
}
