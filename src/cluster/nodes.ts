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

interface Message {
  readonly node: string;
  /** One more than the last of this node's messages. */
  readonly number: number;
  readonly state: NodeState;
  /** Forget who was subscribed there: here they are, and in the messages that follow. */
  readonly anew?: true;
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

interface Node {
  state: NodeState;
  number: number;
  heardAt: number;
  /** False while something of it was missed: `subscribers` may be wrong until it has told everything anew. */
  isWhole: boolean;
  readonly subscribers: Map<string, Subscriber>;
}

/** How often a node says that it is there, and after how long a silence it is forgotten, milliseconds. */
const BEAT = 2000;
const SILENCE = 7000;
/** Who comes and goes within this time is told of together, milliseconds. */
const GATHER = 50;
/** Everything is told anew at most this often, milliseconds. */
const ANEW = 1000;
/** Subscribers of one message, as JSON, in characters: far below NATS' limit of a megabyte. */
const CHUNK = 100_000;

export class Nodes {
  readonly #options: NodesOptions;
  readonly #others = new Map<string, Node>();
  /** Who is subscribed here, and of them who came and went since that was last told. */
  readonly #subscribers = new Map<string, Subscriber>();
  readonly #joined = new Map<string, Subscriber>();
  /** Of #joined, those who have just come. */
  readonly #began = new Set<string>();
  readonly #left: string[] = [];
  readonly #ended: Subscriber[] = [];
  #observer: RemotePresenceObserver = { joined() {}, left() {}, missed() {} };
  readonly #beat: Cancel;
  #gathering: Cancel | undefined;
  #session: StreamSession | undefined;
  #number = 0;
  #changes = 0;
  #toldAnew = Number.NEGATIVE_INFINITY;
  #askedAt = Number.NEGATIVE_INFINITY;
  #isAsked: Cancel | undefined;

  constructor(options: NodesOptions) {
    this.#options = options;
    this.#beat = options.clock.every(BEAT, () => this.#pulse());
  }

  /** From now on it is told here; undefined = nobody can be reached. */
  connect(session: StreamSession | undefined): void {
    if (session === this.#session) return;
    this.#session = session;
    if (!session) return;
    session.listen((data) => {
      if (session === this.#session) this.#hear(data);
    });
    this.#tellAnew("*");
  }

  observe(observer: RemotePresenceObserver): void {
    this.#observer = observer;
  }

  /** Somebody is subscribed here. `isNew`: has just come, and was not there before this process. */
  joined(subscriber: Subscriber, isNew = true): void {
    this.#subscribers.set(subscriber.id, subscriber);
    this.#joined.set(subscriber.id, subscriber);
    if (isNew) this.#began.add(subscriber.id);
    this.#gather();
  }

  /** Somebody is not subscribed here any more, or was at an earlier process. */
  left(subscriber: Subscriber): void {
    const { id } = subscriber;
    if (this.#subscribers.delete(id)) this.#left.push(id);
    else this.#ended.push(subscriber);
    this.#joined.delete(id);
    this.#began.delete(id);
    this.#gather();
  }

  /** Who is subscribed at the other nodes. One who is moving from one to another (a restart) may be there twice. */
  *subscribers(): Iterable<Subscriber> {
    for (const { subscribers } of this.#others.values()) yield* subscribers.values();
  }

  /** Counts whatever changes subscribers(). */
  get changes(): number {
    return this.#changes;
  }

  /** Itself first. */
  snapshot(): NodeSnapshot[] {
    const now = this.#options.clock.monotonic();
    const own = this.#options.state();
    const others = [...this.#others.values()];
    const furthest = Math.max(
      own.position,
      ...others.map(({ state }) => (state.epoch === own.epoch ? state.position : 0)),
    );
    const seen = (state: NodeState, heardAt: number, self: boolean) => {
      const lag = state.epoch === own.epoch ? furthest - state.position : 0;
      return { ...state, self, lag, heard: (now - heardAt) / 1000 };
    };
    return [seen(own, now, true), ...others.map(({ state, heardAt }) => seen(state, heardAt, false))];
  }

  /** Says good-bye. The session may be closed then. */
  close(): void {
    this.#beat();
    this.#gathering?.();
    this.#isAsked?.();
    this.#tell({ gone: true });
    this.#session = undefined;
  }

  #pulse(): void {
    const since = this.#options.clock.monotonic() - SILENCE;
    for (const [id, { heardAt }] of this.#others) if (heardAt < since && this.#forget(id)) this.#observer.missed();
    this.#tell({});
  }

  #forget(id: string): boolean {
    const isKnown = this.#others.delete(id);
    if (isKnown) this.#changes++;
    return isKnown;
  }

  // ---- Telling -------------------------------------------------------------------------------------------------------

  /** What nobody can be told has a number, too: then they know that something is missing. */
  #tell(what: Partial<Message>): void {
    const number = ++this.#number;
    if (!this.#session) return;
    const { id, state } = this.#options;
    const message: Message = { node: id, number, state: state(), ...what };
    this.#session.tell(Buffer.from(JSON.stringify(message)));
  }

  #gather(): void {
    this.#gathering ??= this.#options.clock.after(GATHER, () => this.#tellGathered());
  }

  #tellGathered(): void {
    this.#gathering?.();
    this.#gathering = undefined;
    const [joined, left, ended] = [[...this.#joined.values()], this.#left.splice(0), this.#ended.splice(0)];
    const began = new Set(this.#began);
    this.#joined.clear();
    this.#began.clear();
    if (left.length > 0) this.#tell({ left });
    for (const some of chunks(ended)) this.#tell({ ended: some });
    for (const some of chunks(joined)) {
      const news = some.map(({ id }) => id).filter((id) => began.has(id));
      this.#tell({ joined: some, ...(news.length > 0 && { began: news }) });
    }
  }

  #tellAnew(ask?: string): void {
    this.#toldAnew = this.#options.clock.monotonic();
    this.#tellGathered(); // who has just come or gone would be no news in what follows
    this.#tell({ anew: true, ...(ask !== undefined && { ask }) });
    for (const joined of chunks(this.#subscribers.values())) this.#tell({ joined });
  }

  /** Many may ask at a time: they are answered together. */
  #answer(): void {
    if (this.#isAsked) return;
    const wait = this.#toldAnew + ANEW - this.#options.clock.monotonic();
    if (wait <= 0) this.#tellAnew();
    else {
      this.#isAsked = this.#options.clock.after(wait, () => {
        this.#isAsked = undefined;
        this.#tellAnew();
      });
    }
  }

  // ---- Hearing -------------------------------------------------------------------------------------------------------

  #hear(data: Uint8Array): void {
    const message = parse(data);
    if (!message || message.node === this.#options.id) return;
    const { node: id, number, state, ask, gone } = message;
    if (gone) {
      this.#forget(id);
      return;
    }
    const known = this.#others.get(id);
    const node = known ?? { state, number: 0, heardAt: 0, isWhole: false, subscribers: new Map() };
    this.#others.set(id, node);
    const isNext = number === node.number + 1;
    Object.assign(node, { state, number, heardAt: this.#options.clock.monotonic() });
    if (!isNext && (node.isWhole || !known)) this.#observer.missed();
    if (message.anew) {
      node.isWhole = true;
      node.subscribers.clear();
      this.#changes++;
    } else if (!isNext || !known) node.isWhole = false;
    if (!node.isWhole) this.#ask(id);
    this.#take(node, message);
    if (ask === "*" || ask === this.#options.id) this.#answer();
  }

  #take(node: Node, { joined = [], began = [], left = [], ended = [] }: Message): void {
    const news = new Set(began);
    for (const id of left) {
      const subscriber = node.subscribers.get(id);
      node.subscribers.delete(id);
      if (subscriber) this.#observer.left(subscriber);
    }
    for (const subscriber of ended) this.#observer.left(subscriber);
    for (const subscriber of joined) {
      node.subscribers.set(subscriber.id, subscriber);
      if (news.has(subscriber.id)) this.#observer.joined(subscriber);
    }
    if (joined.length + left.length > 0) this.#changes++;
  }

  #ask(id: string): void {
    const now = this.#options.clock.monotonic();
    if (now - this.#askedAt < ANEW) return; // its next beat comes, and this is asked again then
    this.#askedAt = now;
    this.#tell({ ask: id });
  }
}

/** By their size. */
function* chunks(subscribers: Iterable<Subscriber>): Iterable<Subscriber[]> {
  let [chunk, size]: [Subscriber[], number] = [[], 0];
  for (const subscriber of subscribers) {
    chunk.push(subscriber);
    size += JSON.stringify(subscriber).length;
    if (size < CHUNK) continue;
    yield chunk;
    [chunk, size] = [[], 0];
  }
  if (chunk.length > 0) yield chunk;
}

/** Undefined = it is not ours: whoever may write to this subject is trusted, but may be of another version. */
function parse(data: Uint8Array): Message | undefined {
  try {
    const message = JSON.parse(Buffer.from(data).toString()) as Partial<Message> | null;
    const isOurs =
      typeof message?.node === "string" &&
      typeof message.number === "number" &&
      typeof message.state?.name === "string" &&
      typeof message.state.position === "number" &&
      areSubscribers(message.joined ?? []) &&
      areSubscribers(message.ended ?? []) &&
      [message.left, message.began].every((list) => Array.isArray(list ?? []));
    return isOurs ? (message as Message) : undefined;
  } catch {
    return undefined;
  }
}

const areSubscribers = (list: unknown): boolean =>
  Array.isArray(list) && list.every((it) => typeof it?.id === "string" && Array.isArray(it.subscriptions));
