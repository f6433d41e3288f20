/**
 * The dashboard's event stream: once a second, what /status has and the connections since the event before. It is served here and not
 * as a topic of the hub, for three reasons: it continues when Mongrel2 is down, which is when an operator looks; an event a second would
 * push 86,400 events a day out of the history; and a token that grants every topic, as many applications give to their users, must not
 * show operators' figures and clients' addresses. Without a watcher no status is made.
 */
import type { Writable } from "node:stream";
import { encodeEvent } from "../../protocol/sse.js";
import type { Cancel, Clock } from "../../util/clock.js";
import type { LastHour } from "./last-hour.js";
import type { RecentChanges, RecentConnections } from "./recent-connections.js";
import type { Status } from "./status.js";

/** The data of each event, as JSON. */
export interface StatusEvent extends RecentChanges {
  readonly status: Status;
  /** In the first event of a watcher. */
  readonly hour?: LastHour;
}

export interface DashboardStreamOptions {
  readonly clock: Clock;
  readonly recentConnections: RecentConnections;
  readonly status: () => Status;
  readonly lastHour: () => LastHour;
  /** Watchers at a time, where the address takes fewer connections than usual; absent = MAX_WATCHER_COUNT. */
  readonly maxWatchers?: number;
}

const STATUS_EVENT_TYPE = "m2push-status";
const INTERVAL_MS = 1000;
/** Queued for one watcher that does not read; beyond it the connection is closed. */
const MAX_QUEUED_BYTES = 1_000_000;
/** The admin address takes 100 connections, and scrapers and probes need some. */
const MAX_WATCHER_COUNT = 20;

export class DashboardStream {
  /** Watchers at a time. */
  readonly maxWatchers: number;
  readonly #options: DashboardStreamOptions;
  /** Watchers, and how many connections each has been sent or has skipped. */
  readonly #watchers = new Map<Writable, number>();
  #cancel: Cancel | undefined;

  constructor(options: DashboardStreamOptions) {
    this.#options = options;
    this.maxWatchers = Math.min(MAX_WATCHER_COUNT, options.maxWatchers ?? MAX_WATCHER_COUNT);
  }

  get isFull(): boolean {
    return this.#watchers.size >= this.maxWatchers;
  }

  /** Sends an event at once, then one each second, until either end closes. `lastEventId`: of the last event that the watcher has. */
  watch(out: Writable, lastEventId = ""): void {
    if (out.destroyed) return;
    const { clock, recentConnections, status, lastHour } = this.#options;
    // A watcher that closes during a write is no failure; "close" follows.
    out.on("error", () => {});
    out.on("close", () => this.#remove(out));
    out.write(encodeEvent({ retry: INTERVAL_MS }));
    const sent = recentConnections.countAt(lastEventId) ?? recentConnections.firstHeld;
    out.write(this.#event(status(), sent, { hour: lastHour() }));
    this.#watchers.set(out, recentConnections.count);
    this.#cancel ??= clock.every(INTERVAL_MS, () => this.#tick());
  }

  close(): void {
    this.#cancel?.();
    this.#cancel = undefined;
    for (const out of this.#watchers.keys()) out.destroy();
    this.#watchers.clear();
  }

  #remove(out: Writable): void {
    this.#watchers.delete(out);
    if (this.#watchers.size > 0) return;
    this.#cancel?.();
    this.#cancel = undefined;
  }

  /** Nearly all watchers have the same connections: one encoded event serves them. */
  #tick(): void {
    const { recentConnections, status } = this.#options;
    const now = status();
    const events = new Map<number, Buffer>();
    for (const [out, sent] of this.#watchers) {
      if (out.writableLength > MAX_QUEUED_BYTES) {
        out.destroy();
        continue;
      }
      const event = events.get(sent) ?? this.#event(now, sent);
      events.set(sent, event);
      out.write(event);
      this.#watchers.set(out, recentConnections.count);
    }
  }

  /** `sent`: how many connections the watcher has. */
  #event(status: Status, sent: number, first: Pick<StatusEvent, "hour"> = {}): Buffer {
    const { recentConnections } = this.#options;
    const data: StatusEvent = { status, ...recentConnections.after(sent), ...first };
    return encodeEvent({ type: STATUS_EVENT_TYPE, id: recentConnections.id, data: JSON.stringify(data) });
  }
}
