/**
 * The dashboard's event stream: once a second, what /status says and who came and went meanwhile. It is served here and not
 * as a topic of the hub, for three reasons: it goes on when Mongrel2 is gone, which is when an operator looks; an event a
 * second would push 86,400 events a day out of the history; and a token that grants every topic, as many applications give
 * to their users, must not show operators' figures and visitors' addresses. Nothing is made while nobody watches.
 */
import type { Writable } from "node:stream";
import { encodeEvent } from "../../protocol/sse.js";
import type { Cancel, Clock } from "../../util/clock.js";
import type { RecentChanges, RecentConnections } from "./recent-connections.js";
import type { Status } from "./status.js";

/** What the data of each event is, as JSON. */
export interface StatusEvent extends RecentChanges {
  readonly status: Status;
}

export interface DashboardStreamOptions {
  readonly clock: Clock;
  readonly visits: RecentConnections;
  readonly status: () => Status;
  /** Watchers at a time, where there is room for fewer than Feed.MOST. */
  readonly most?: number;
}

const STATUS_EVENT_TYPE = "m2push-status";
/** Between two reports, milliseconds. */
const EVERY = 1000;
/** The most that may wait for one who does not read, bytes; then it is cut. */
const MOST_WAITING = 1_000_000;

export class DashboardStream {
  /** Watchers: the address takes 100 connections, and scrapers and probes need some. */
  static readonly MOST = 20;
  readonly #options: DashboardStreamOptions;
  /** Those who watch, and how many visits each was told of. */
  readonly #watchers = new Map<Writable, number>();
  #cancel: Cancel | undefined;

  constructor(options: DashboardStreamOptions) {
    this.#options = options;
  }

  /** Watchers at a time. */
  get most(): number {
    return Math.min(DashboardStream.MOST, this.#options.most ?? DashboardStream.MOST);
  }

  get isFull(): boolean {
    return this.#watchers.size >= this.most;
  }

  /** Reports at once, then each second, until either end closes. `lastEventId`: of the last report it has. */
  watch(out: Writable, lastEventId = ""): void {
    if (out.destroyed) return;
    const { clock, visits, status } = this.#options;
    // Who leaves in the middle of a write is no failure.
    out.on("error", () => {});
    out.on("close", () => this.#left(out));
    out.write(encodeEvent({ retry: EVERY }));
    out.write(this.#report(status(), visits.countAt(lastEventId) ?? visits.forgotten));
    this.#watchers.set(out, visits.count);
    this.#cancel ??= clock.every(EVERY, () => this.#tick());
  }

  close(): void {
    this.#cancel?.();
    this.#cancel = undefined;
    for (const out of this.#watchers.keys()) out.destroy();
    this.#watchers.clear();
  }

  #left(out: Writable): void {
    this.#watchers.delete(out);
    if (this.#watchers.size > 0) return;
    this.#cancel?.();
    this.#cancel = undefined;
  }

  /** Nearly all were told of the same visits: one report serves them. */
  #tick(): void {
    const { visits, status } = this.#options;
    const now = status();
    const reports = new Map<number, Buffer>();
    for (const [out, told] of this.#watchers) {
      if (out.writableLength > MOST_WAITING) {
        out.destroy();
        continue;
      }
      const report = reports.get(told) ?? this.#report(now, told);
      reports.set(told, report);
      out.write(report);
      this.#watchers.set(out, visits.count);
    }
  }

  /** `told`: how many visits are known already. */
  #report(status: Status, told: number): Buffer {
    const { visits } = this.#options;
    const report: StatusEvent = { status, ...visits.after(told) };
    return encodeEvent({ type: STATUS_EVENT_TYPE, id: visits.id, data: JSON.stringify(report) });
  }
}
