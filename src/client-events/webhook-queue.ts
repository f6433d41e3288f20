/**
 * The events that wait for one webhook, and the request that is made of the oldest ones. A request that may have reached the receiver is
 * repeated as it was, with the same id, also by the next process: its extent is stored before it is sent.
 */
import type { ClientEventKind } from "../config/schema.js";
import type { EventStore, LoggedEvent, LostEvents, WebhookPosition } from "./event-store.js";

/** One request. */
export interface Batch {
  /** Names its events: the same events have the same id. */
  readonly id: string;
  readonly body: string;
  readonly events: number;
  /** The sequence of its last event. */
  readonly through: number;
}

/** What the next request has. */
interface Taken {
  readonly events: readonly LoggedEvent[];
  readonly through: number;
  readonly lost: LostEvents | undefined;
  /** There are no further events. */
  readonly isComplete: boolean;
}

export interface WebhookQueueOptions {
  readonly name: string;
  readonly kinds: ReadonlySet<ClientEventKind>;
  readonly store: EventStore;
  readonly maxPending: number;
}

/** Events of one request, and their bytes: 20 kB is usual for webhooks, more only in a storm. */
const MAX_BATCH_EVENTS = 250;
const MAX_BATCH_BYTES = 256_000;
/** Events that are looked at in one turn of the event loop. */
const MAX_SCANNED_COUNT = 2000;

export class WebhookQueue {
  #options: WebhookQueueOptions;

  /** A new webhook begins with the next event. */
  constructor(options: WebhookQueueOptions) {
    this.#options = options;
    const { store, name } = options;
    if (!store.position(name)) store.setPosition(name, { through: store.last });
  }

  /** From now on it has other settings. With other kinds the request that is due is made again. */
  configure(kinds: ReadonlySet<ClientEventKind>, maxPending: number): void {
    const { kinds: former } = this.#options;
    this.#options = { ...this.#options, kinds, maxPending };
    if ([...kinds].sort().join() !== [...former].sort().join()) this.#move({ batchThrough: undefined });
  }

  /** Events that wait; those of other kinds count until they are passed. */
  get pending(): number {
    return this.#options.store.last - this.doneThrough;
  }

  /** When the oldest one happened, milliseconds since 1970; undefined = none waits. */
  get oldestTime(): number | undefined {
    for (const { time } of this.#options.store.read(this.doneThrough)) return time;
    return undefined;
  }

  /** Nothing up to this event is needed any more. */
  get doneThrough(): number {
    const { through, lost } = this.#position;
    return Math.max(through, lost?.through ?? 0);
  }

  /** The next request; undefined = there is none, or it cannot be stored now; "later": call again in the next turn. */
  next(): Batch | undefined | "later" {
    const position = this.#position;
    const taken = this.#take(position);
    const { events, through, lost } = taken;
    if (events.length === 0 && !lost) {
      if (through > position.through) this.#move({ through, batchThrough: undefined });
      return taken.isComplete ? undefined : "later";
    }
    if (position.batchThrough !== through || position.lost !== lost) {
      this.#move({ lost, batchThrough: through });
      if (!this.#options.store.commit()) {
        // Otherwise the next call takes it for a stored request, and sends it.
        this.#options.store.setPosition(this.#options.name, position);
        return undefined;
      }
    }
    return this.#batch(position.through, taken);
  }

  /** The receiver has taken a request. Without effect where a reload has removed the webhook since, or begun it again. */
  acknowledge({ through }: Batch): void {
    const { store, name } = this.#options;
    if (through > this.#position.through) store.setPosition(name, { through });
  }

  /**
   * Removes the oldest events beyond the limits, some in each call. Not while a request is under way: the receiver may take it. Returns
   * how many events were lost.
   */
  dropOldest(): number {
    const { store, maxPending, kinds } = this.#options;
    const done = this.doneThrough;
    const target = Math.min(store.last, Math.max(store.expiredThrough(), store.last - maxPending));
    if (target <= done) return 0;
    const found = new Lost(this.#position.lost);
    let [through, scanned] = [done, 0];
    for (const event of store.read(done)) {
      if (event.sequence > target || scanned++ === MAX_SCANNED_COUNT) break;
      through = event.sequence;
      if (kinds.has(event.kind)) found.add(event);
    }
    this.#move({
      through: found.lost ? this.#position.through : through,
      lost: found.upTo(through),
      batchThrough: undefined,
    });
    return found.added;
  }

  get #position(): WebhookPosition {
    const { store, name } = this.#options;
    return store.position(name) ?? { through: store.last };
  }

  #move(change: Partial<WebhookPosition>): void {
    const { store, name } = this.#options;
    const { through, batchThrough, lost } = { ...this.#position, ...change };
    store.setPosition(name, { through, ...(batchThrough !== undefined && { batchThrough }), ...(lost && { lost }) });
  }

  /** The events of the next request. One that was sent before has its former end. */
  #take({ batchThrough = Number.POSITIVE_INFINITY, lost: known }: WebhookPosition): Taken {
    const { store, kinds } = this.#options;
    const events: LoggedEvent[] = [];
    let [through, bytes, scanned, lost] = [this.doneThrough, 0, 0, known];
    for (const event of store.read(through)) {
      const hole = event.sequence - through - 1;
      // Events that could not be stored are lost, too.
      if (hole > 0 && events.length > 0) break;
      if (hole > 0) lost = withHole(lost, through + 1, event);
      const isFull = events.length === MAX_BATCH_EVENTS || bytes > MAX_BATCH_BYTES || scanned++ === MAX_SCANNED_COUNT;
      if (event.sequence > batchThrough || isFull) return { events, through, lost, isComplete: false };
      through = event.sequence;
      if (!kinds.has(event.kind)) continue;
      events.push(event);
      bytes += event.json.length;
    }
    return { events, through, lost, isComplete: true };
  }

  #batch(after: number, { events, through, lost }: Taken): Batch {
    const { epoch } = this.#options.store;
    const parts = events.map(
      ({ sequence, json }) => `{"id":"${epoch}-${sequence}","sequence":${sequence},${json.slice(1)}`,
    );
    if (lost) parts.unshift(JSON.stringify(lostEvent(epoch, lost)));
    const [first] = events;
    const timestamp = new Date(first?.time ?? lost?.until ?? 0).toISOString();
    const body = `{"type":"m2push.clients","timestamp":"${timestamp}","data":{"events":[${parts.join(",")}]}}`;
    return { id: `${epoch}-${after + 1}-${through}`, body, events: events.length, through };
  }
}

/** Stands in the place of events that were removed. */
function lostEvent(epoch: string, { from, through, count, since, until }: LostEvents) {
  return {
    ...{ id: `${epoch}-${from}-lost`, sequence: through, kind: "events_lost" },
    ...{ time: new Date(until).toISOString(), count, from, through, since: new Date(since).toISOString() },
  };
}

/** Adds up lost events. */
class Lost {
  lost: LostEvents | undefined;
  added = 0;

  constructor(lost: LostEvents | undefined) {
    this.lost = lost;
  }

  add({ sequence, time }: LoggedEvent): void {
    const { from = sequence, count = 0, since = time } = this.lost ?? {};
    this.lost = { from, through: sequence, count: count + 1, since, until: time };
    this.added++;
  }

  upTo(through: number): LostEvents | undefined {
    return this.lost && { ...this.lost, through };
  }
}

/** Nothing is known of the events of a hole but their number, and what follows. */
function withHole(lost: LostEvents | undefined, from: number, { sequence, time }: LoggedEvent): LostEvents {
  const missing = sequence - from;
  const known = lost ?? { from, count: 0, since: time };
  return { ...known, through: sequence - 1, count: known.count + missing, until: time };
}
