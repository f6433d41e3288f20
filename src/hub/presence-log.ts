/**
 * The newest changes of subscribers, for clients that watch subscriptions (Mercure, "Active Subscriptions"). The log is bounded and apart
 * from the history: every client can cause changes, and they must not displace publications
 * (docs/decisions/0001-presence-outside-the-history.md).
 *
 * A change is one entry, whatever the subscriber subscribed to. Its events, one for each subscription, are numbered at once and made only
 * when a watcher needs them.
 */
import { randomBytes } from "node:crypto";
import type { JsonValue, Subscriber } from "../delivery/subscriber.js";
import { memoizeLast } from "../util/memoize-last.js";

/** The event of one subscription: private, with a topic of its own. */
export interface PresenceEvent {
  readonly topic: string;
  /** The SSE event type; absent = none. */
  readonly type?: string;
  readonly data: string;
}

/** Makes the events of a change, one for each of the subscriber's subscriptions. */
type RenderPresence = (subscriber: Subscriber, active: boolean) => readonly PresenceEvent[];

export interface PresenceLogOptions {
  readonly render: RenderPresence;
  /** The offset of the newest publication. */
  readonly head: () => number;
  /** Other nodes send the same changes in another order: positions of their logs mean nothing here. */
  readonly isShared: boolean;
}

const MAX_HELD_EVENTS = 5000;
/** Size of the held changes: the text of topics and payloads, and SUBSCRIPTION_BYTES for each event. */
const MAX_HELD_BYTES = 1_000_000;
const SUBSCRIPTION_BYTES = 100;

interface Change {
  readonly subscriber: Subscriber;
  readonly active: boolean;
  /** The number of its last event. */
  readonly last: number;
  readonly bytes: number;
  /** Made at the first read. */
  events: readonly PresenceEvent[] | undefined;
}

export class PresenceLog {
  /** Names this log: every process starts another one. */
  readonly instance = randomBytes(6).toString("base64url");
  readonly isShared: boolean;
  /** Called after each change. */
  changed: () => void = () => {};
  readonly #options: PresenceLogOptions;
  readonly #changes: Change[] = [];
  #last = 0;
  #floor = 0;
  #bytes = 0;
  #lastHead = 0;

  constructor(options: PresenceLogOptions) {
    this.#options = options;
    this.isShared = options.isShared;
  }

  /** The number of the newest event; 0 before the first. */
  get last(): number {
    return this.#last;
  }

  /** Every event after this number is held. */
  get floor(): number {
    return this.#floor;
  }

  /** The offset of the newest publication at the time of the newest change. */
  get lastHead(): number {
    return this.#lastHead;
  }

  add(subscriber: Subscriber, active: boolean): void {
    const count = subscriber.subscriptions.length;
    if (count === 0) return;
    const bytes = sizeOf(subscriber);
    this.#last += count;
    this.#lastHead = this.#options.head();
    this.#bytes += bytes;
    this.#changes.push({ subscriber, active, last: this.#last, bytes, events: undefined });
    this.#trim();
    this.changed();
  }

  /** Changes of other nodes were missed: no position before now is valid any more. */
  lose(): void {
    this.#last++;
    this.#floor = this.#last;
    this.#bytes = 0;
    this.#changes.length = 0;
    this.changed();
  }

  /** The held events above `after`, up to `through`. */
  *between(after: number, through: number): Iterable<readonly [number: number, event: PresenceEvent]> {
    let at = this.#changes.length;
    while (at > 0 && (this.#changes[at - 1]?.last ?? 0) > after) at--;
    for (const change of this.#changes.slice(at)) {
      change.events ??= this.#options.render(change.subscriber, change.active);
      let number = change.last - change.events.length;
      for (const event of change.events) {
        number++;
        if (number > through) return;
        if (number > after) yield [number, event];
      }
    }
  }

  #trim(): void {
    while (this.#last - this.#floor > MAX_HELD_EVENTS || this.#bytes > MAX_HELD_BYTES) {
      const oldest = this.#changes.shift();
      if (!oldest) return;
      this.#bytes -= oldest.bytes;
      this.#floor = oldest.last;
    }
  }
}

/** The subscriptions of one token often have the same payload. */
const payloadSize = memoizeLast((payload: JsonValue | undefined) =>
  payload === undefined ? 0 : JSON.stringify(payload).length,
);

function sizeOf({ subscriptions }: Subscriber): number {
  let bytes = 0;
  for (const { match, payload } of subscriptions) bytes += SUBSCRIPTION_BYTES + match.length + payloadSize(payload);
  return bytes;
}
