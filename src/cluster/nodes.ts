/**
 * The daemons that share a stream tell one another who they are, how far they have come, and who is subscribed at each. It is
 * told on a subject of its own, at most once and not kept: whatever depends on it must bear that it is a few seconds old.
 *
 * Every node numbers what it tells. Whoever hears a gap in the numbers, or of a node that it does not know, asks that node to
 * tell everything anew: a message that says `anew`, and as many more as it takes. A node that is silent is forgotten.
 */
import type { NodeSnapshot, NodeState, Subscriber } from "../hub/ports.js";
import type { Cancel, Clock } from "../util/clock.js";
import type { Session } from "./session.js";

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
  readonly left?: readonly string[];
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
  readonly #left: string[] = [];
  readonly #beat: Cancel;
  #gathering: Cancel | undefined;
  #session: Session | undefined;
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
  connect(session: Session | undefined): void {
    if (session === this.#session) return;
    this.#session = session;
    if (!session) return;
    session.listen((data) => {
      if (session === this.#session) this.#hear(data);
    });
    this.#tellAnew("*");
  }

  /** Somebody has subscribed here. */
  joined(subscriber: Subscriber): void {
    this.#subscribers.set(subscriber.id, subscriber);
    this.#joined.set(subscriber.id, subscriber);
    this.#gather();
  }

  left(id: string): void {
    if (!this.#subscribers.delete(id)) return;
    this.#joined.delete(id);
    this.#left.push(id);
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
    for (const [id, { heardAt }] of this.#others) if (heardAt < since) this.#forget(id);
    this.#tell({});
  }

  #forget(id: string): void {
    if (this.#others.delete(id)) this.#changes++;
  }

  // ---- Telling -------------------------------------------------------------------------------------------------------

  #tell(what: Partial<Message>): void {
    if (!this.#session) return;
    const { id, state } = this.#options;
    const message: Message = { node: id, number: ++this.#number, state: state(), ...what };
    this.#session.tell(Buffer.from(JSON.stringify(message)));
  }

  #gather(): void {
    this.#gathering ??= this.#options.clock.after(GATHER, () => {
      this.#gathering = undefined;
      const [joined, left] = [[...this.#joined.values()], this.#left.splice(0)];
      this.#joined.clear();
      if (left.length > 0) this.#tell({ left });
      for (const some of chunks(joined)) this.#tell({ joined: some });
    });
  }

  #tellAnew(ask?: string): void {
    this.#toldAnew = this.#options.clock.monotonic();
    this.#joined.clear();
    this.#left.length = 0;
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
    const { node: id, number, state, anew, joined = [], left = [], ask, gone } = message;
    if (gone) {
      this.#forget(id);
      return;
    }
    const node = this.#others.get(id) ?? { state, number, heardAt: 0, isWhole: false, subscribers: new Map() };
    this.#others.set(id, node);
    const isNext = number === node.number + 1;
    Object.assign(node, { state, number, heardAt: this.#options.clock.monotonic() });
    if (anew) {
      node.isWhole = true;
      node.subscribers.clear();
      this.#changes++;
    } else if (!isNext) node.isWhole = false;
    if (!node.isWhole) this.#ask(id);
    for (const subscriber of joined) node.subscribers.set(subscriber.id, subscriber);
    for (const one of left) node.subscribers.delete(one);
    if (joined.length + left.length > 0) this.#changes++;
    if (ask === "*" || ask === this.#options.id) this.#answer();
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
      Array.isArray(message.left ?? []);
    return isOurs ? (message as Message) : undefined;
  } catch {
    return undefined;
  }
}

const areSubscribers = (list: unknown): boolean =>
  Array.isArray(list) && list.every((it) => typeof it?.id === "string" && Array.isArray(it.subscriptions));
