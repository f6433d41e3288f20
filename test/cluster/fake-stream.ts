/** A stream in memory behind sessions that can be cut, and that loses what a real one may lose. See src/cluster/stream-session.ts. */

import type {
  Dial,
  OutgoingRecord,
  StreamConsumer,
  StreamMessage,
  StreamSession,
  StreamState,
} from "../../src/cluster/stream-session.js";
import type { EqualIds } from "../../src/delivery/history.js";
import { M2pushError } from "../../src/errors.js";

interface Message extends StreamMessage {
  readonly key: string;
}

/** What happens to what a session is asked: it is done; done, but the answer does not come; nothing. */
type Wire = "whole" | "deaf" | "frozen" | "cut";

export class FakeStream {
  #epoch: string | undefined;
  #messages: Message[] = [];
  #last = 0;
  #stamps = 0;
  /** The sequence of each message id. */
  readonly #ids = new Map<string, number>();
  readonly #wires = new Set<FakeWire>();
  readonly #maxEvents: number;
  readonly #now: (() => number) | undefined;
  #isMum = false;
  /** The server that leads it. */
  leader = "one";

  /** `now`: what its clock shows, milliseconds since 1970; absent = it counts messages. */
  constructor(maxEvents = Number.POSITIVE_INFINITY, now?: () => number) {
    this.#maxEvents = maxEvents;
    this.#now = now;
  }

  #nextStamp(): string {
    const stamp = ++this.#stamps;
    return this.#now ? `${this.#now()}${String(stamp % 1_000_000).padStart(6, "0")}` : `${stamp}000000`;
  }

  /** A wire for one daemon. */
  wire(): FakeWire {
    const wire = new FakeWire(this);
    this.#wires.add(wire);
    return wire;
  }

  get messages(): readonly StreamMessage[] {
    return this.#messages;
  }

  state(): StreamState | undefined {
    if (this.#epoch === undefined) return undefined;
    const [oldest] = this.#messages;
    const bytes = this.#messages.reduce((sum, { data }) => sum + data.length, 0);
    const first = oldest?.sequence ?? this.#last + 1;
    const [count, followers] = [this.#messages.length, 0];
    return {
      epoch: this.#epoch,
      first,
      last: this.#last,
      count,
      bytes,
      followers,
      leader: this.leader,
      differs: undefined,
    };
  }

  make(epoch: string): void {
    this.#epoch ??= epoch;
  }

  renew(epoch: string): void {
    this.#epoch = epoch;
  }

  /** Takes a message and hands it to who follows; the same sequence again for an id that it knows. */
  add({ epoch, key, id, data, afterSameKey }: OutgoingRecord): number {
    const known = this.#ids.get(id);
    if (known !== undefined) return known;
    if (afterSameKey !== undefined && afterSameKey !== (this.find(epoch, key, "newest") ?? 0))
      throw new M2pushError("unavailable", "wrong last sequence");
    if (epoch !== this.#epoch) throw new M2pushError("unavailable", "no such subject");
    const message = { sequence: ++this.#last, epoch, key, stamp: this.#nextStamp(), data };
    this.#ids.set(id, message.sequence);
    this.#messages.push(message);
    this.purge(this.#last - this.#maxEvents);
    if (!this.#isMum) for (const wire of this.#wires) wire.go();
    this.#isMum = false;
    return message.sequence;
  }

  /** Those who follow learn of the next message only with the one after it. */
  mumble(): void {
    this.#isMum = true;
  }

  /** Forgets everything up to a sequence. */
  purge(through = this.#last): void {
    this.#messages = this.#messages.filter(({ sequence }) => sequence > through);
  }

  /** Has another message in the place of one, and goes on as it was. */
  exchange(sequence: number): void {
    const stamp = this.#nextStamp();
    this.#messages = this.#messages.map((message) => (message.sequence === sequence ? { ...message, stamp } : message));
  }

  /** Loses its newest, as a server whose machine lost power. Who is connected is thrown out. */
  rollBack(to: number): void {
    this.#messages = this.#messages.filter(({ sequence }) => sequence <= to);
    this.#last = to;
    for (const [id, sequence] of this.#ids) if (sequence > to) this.#ids.delete(id);
    for (const wire of this.#wires) wire.drop("rolled back");
  }

  /** Is not there any more, nor is anything that it held. */
  remove(): void {
    this.#epoch = undefined;
    this.#messages = [];
    this.#last = 0;
    this.#ids.clear();
    for (const wire of this.#wires) wire.drop("the stream was deleted");
  }

  tell(data: Uint8Array): void {
    queueMicrotask(() => {
      for (const wire of this.#wires) wire.hear(data);
    });
  }

  from(sequence: number): readonly Message[] {
    return this.#messages.filter((message) => message.sequence >= sequence);
  }

  find(epoch: string, key?: string, which: EqualIds = "oldest", after = 0): number | undefined {
    const isFound = (it: Message) => it.epoch === epoch && (key === undefined || it.key === key);
    const found = this.#messages.filter((it) => isFound(it) && it.sequence > after);
    return found.at(which === "oldest" ? 0 : -1)?.sequence;
  }

  erase(sequence: number): void {
    this.#messages = this.#messages.filter((message) => message.sequence !== sequence);
  }
}

export class FakeWire {
  readonly #stream: FakeStream;
  readonly #sessions = new Set<FakeSession>();
  #is: Wire = "whole";
  #held: (() => void)[] = [];

  constructor(stream: FakeStream) {
    this.#stream = stream;
  }

  readonly dial: Dial = async () => {
    if (this.#is === "cut") throw new M2pushError("unavailable", "connection refused");
    const session = new FakeSession(this.#stream, this, () => this.#sessions.delete(session));
    this.#sessions.add(session);
    return session;
  };

  cut(): void {
    this.#is = "cut";
    this.#held = [];
    this.drop("the connection was cut");
  }

  deafen(): void {
    this.#is = "deaf";
  }

  freeze(): void {
    this.#is = "frozen";
  }

  restore(): void {
    this.#is = "whole";
    for (const pass of this.#held.splice(0)) pass();
    this.go();
  }

  /** Ends the sessions; others may follow. */
  drop(why: string): void {
    for (const session of [...this.#sessions]) session.end(why);
  }

  go(): void {
    if (this.#is === "whole") for (const session of this.#sessions) session.go();
  }

  /** To all who listen, if the wire lets it through: never from within who tells it. */
  tell(data: Uint8Array): void {
    if (this.#is === "whole" || this.#is === "deaf") this.#stream.tell(data);
  }

  hear(data: Uint8Array): void {
    if (this.#is === "whole") for (const session of this.#sessions) session.hear(data);
  }

  /** Asks, and answers, as far as the wire lets through. */
  ask<T>(what: () => T): Promise<T> {
    return new Promise((resolve, reject) => {
      const ask = () => {
        const answer = attempt(what);
        const pass = () => ("error" in answer ? reject(answer.error) : resolve(answer.value));
        if (this.#is === "deaf") this.#held.push(pass);
        else pass();
      };
      if (this.#is === "frozen") this.#held.push(ask);
      else ask();
    });
  }
}

function attempt<T>(what: () => T): { readonly value: T } | { readonly error: unknown } {
  try {
    return { value: what() };
  } catch (error) {
    return { error };
  }
}

class FakeSession implements StreamSession {
  readonly closed: Promise<string>;
  readonly #stream: FakeStream;
  readonly #wire: FakeWire;
  readonly #following = new Set<Follower>();
  readonly #listeners = new Set<(data: Uint8Array) => void>();
  readonly #unanswered = new Set<(error: Error) => void>();
  #close: (why: string) => void = () => {};
  #ended: string | undefined;
  readonly #gone: () => void;

  constructor(stream: FakeStream, wire: FakeWire, gone: () => void) {
    this.#stream = stream;
    this.#wire = wire;
    this.#gone = gone;
    this.closed = new Promise((resolve) => {
      this.#close = resolve;
    });
  }

  inspect() {
    return this.#ask(() => this.#stream.state());
  }

  create(epoch: string) {
    return this.#ask(() => this.#stream.make(epoch));
  }

  changeEpoch(epoch: string) {
    return this.#ask(() => this.#stream.renew(epoch));
  }

  async follow(from: number, take: (message: StreamMessage) => void): Promise<StreamConsumer> {
    const follower = new Follower(this.#stream, from, take);
    const leader = await this.#ask(() => {
      this.#following.add(follower);
      return this.#stream.leader;
    });
    follower.go();
    return { leader, stop: () => this.#following.delete(follower) };
  }

  read(after: number, through: number) {
    return this.#ask(() => this.#stream.from(after + 1).filter(({ sequence }) => sequence <= through));
  }

  find(epoch: string, key?: string, which?: EqualIds, after?: number) {
    return this.#ask(() => this.#stream.find(epoch, key, which, after));
  }

  erase(sequence: number) {
    return this.#ask(() => this.#stream.erase(sequence));
  }

  send(message: OutgoingRecord) {
    return this.#ask(() => this.#stream.add(message));
  }

  async close() {
    this.end("closed");
  }

  broadcast(data: Uint8Array): void {
    if (this.#ended === undefined) this.#wire.tell(data);
  }

  onBroadcast(hear: (data: Uint8Array) => void): void {
    this.#listeners.add(hear);
  }

  hear(data: Uint8Array): void {
    for (const hear of this.#listeners) hear(data);
  }

  request(): () => void {
    return () => {};
  }

  onRequest(): void {}

  go(): void {
    for (const follower of this.#following) follower.go();
  }

  end(why: string): void {
    this.#ended = why;
    this.#gone();
    this.#following.clear();
    this.#close(why);
    for (const reject of this.#unanswered) reject(new M2pushError("unavailable", why));
  }

  #ask<T>(what: () => T): Promise<T> {
    if (this.#ended !== undefined) return Promise.reject(new M2pushError("unavailable", this.#ended));
    return new Promise((resolve, reject) => {
      this.#unanswered.add(reject);
      this.#wire
        .ask(what)
        .then(resolve, reject)
        .finally(() => this.#unanswered.delete(reject));
    });
  }
}

/** Delivers messages one by one, never synchronously within the call that stored them. */
class Follower {
  readonly #stream: FakeStream;
  readonly #take: (message: StreamMessage) => void;
  #next: number;
  #isGoing = false;

  constructor(stream: FakeStream, from: number, take: (message: StreamMessage) => void) {
    this.#stream = stream;
    this.#next = from;
    this.#take = take;
  }

  go(): void {
    if (this.#isGoing) return;
    this.#isGoing = true;
    queueMicrotask(() => {
      this.#isGoing = false;
      for (const message of this.#stream.from(this.#next)) {
        this.#next = message.sequence + 1;
        this.#take(message);
      }
    });
  }
}
