/**
 * Sends presence events to the watchers of one server: the new events of the presence log, at most one run in RUN_INTERVAL_MS, and not
 * before Mongrel2 has taken the run before. So what clients cause by connecting and disconnecting is bounded: per turn by MAX_RUN_EVENTS and
 * MAX_RUN_MS (after UNTIMED_EVENTS), in total by the interval. Events that do not fit are dropped, and watchers get a gap event.
 *
 * Each event carries an id that names a position in the history and one in the log. The id of a publication names only the first; the log
 * position that belongs to it is that of the last run before that publication (#runs). A watcher that reconnects with it misses nothing, and
 * may get again the events that were sent while the publication was queued.
 */

import type { Audience } from "../delivery/audience.js";
import type { Client } from "../delivery/client.js";
import type { History } from "../delivery/history.js";
import type { ServerDelivery } from "../delivery/server-delivery.js";
import { presenceId } from "../protocol/position.js";
import { encodeEvent } from "../protocol/sse.js";
import type { Cancel, Clock } from "../util/clock.js";
import type { PresenceLog } from "./presence-log.js";

export interface PresenceFeedOptions {
  readonly server: Pick<ServerDelivery, "outlet" | "sentOffset" | "gap" | "sendAlone">;
  readonly log: PresenceLog;
  readonly history: Pick<History, "epoch" | "last">;
  readonly clock: Clock;
}

const RUN_INTERVAL_MS = 100;
const MAX_RUN_EVENTS = 1000;
/** The time that making the events of one run, or of one opening, may take. */
const MAX_RUN_MS = 5;
/**
 * Events that a run makes regardless of its duration. MAX_RUN_MS is measured by the clock, and a busy machine suspends the process for
 * longer: without these a watcher would get a gap event instead of four events.
 */
const UNTIMED_EVENTS = 64;

/** What one run may cost. */
interface RunBudget {
  readonly deadline: number;
  untimedEvents: number;
}

export class PresenceFeed {
  readonly #options: PresenceFeedOptions;
  readonly #watchers = new Map<Audience<Client>, Set<Client>>();
  /** Watchers without credit for the last events: they get a gap event when they have credit again. */
  readonly #missed = new Set<Client>();
  /** How much of the log was sent before the publication after `head`. Rising; one entry for each head. */
  readonly #runs: { readonly head: number; sent: number }[] = [];
  readonly #startHead: number;
  /** The number of the last log event that was sent. */
  #sent: number;
  #timer: Cancel | undefined;
  #isInFlight = false;
  /** Incremented by clear(): fences of an earlier generation have no effect. */
  #generation = 0;
  /** The next run may start then: Clock.monotonic(). */
  #nextRunAt = Number.NEGATIVE_INFINITY;

  constructor(options: PresenceFeedOptions) {
    this.#options = options;
    this.#startHead = options.history.last;
    this.#sent = options.log.last;
  }

  add(client: Client): void {
    const clients = this.#watchers.get(client.audience);
    if (clients) clients.add(client);
    else this.#watchers.set(client.audience, new Set([client]));
  }

  remove(client: Client): void {
    this.#missed.delete(client);
    const clients = this.#watchers.get(client.audience);
    if (clients?.delete(client) && clients.size === 0) this.#watchers.delete(client.audience);
  }

  /** The connections of the server are lost, and all pending fences with them. */
  clear(): void {
    this.#generation++;
    this.#isInFlight = false;
    this.#watchers.clear();
    this.#missed.clear();
  }

  close(): void {
    this.clear();
    this.#timer?.();
    this.#timer = undefined;
  }

  /** The log has new events. */
  changed(): void {
    if (this.#watchers.size === 0) this.#note(this.#options.log.last);
    else this.#schedule();
  }

  /** The number of the last event that was sent before the publication at `offset`; undefined = that was before this process. */
  sentBefore(offset: number): number | undefined {
    if (offset <= this.#startHead && this.#startHead > 0) return undefined;
    return this.#runs.findLast(({ head }) => head < offset)?.sent ?? 0;
  }

  /**
   * What precedes the events of a watcher: the events after a number of the log (undefined = none), or a gap event if they cannot be sent;
   * and its position.
   */
  opening(client: Client, offset: number, after: number | "lost" | undefined): Buffer {
    const { log, server } = this.#options;
    const position = encodeEvent({ id: this.#id(offset, this.#sent) });
    if (after === undefined) return position;
    const isHeld = after !== "lost" && after >= log.floor;
    const missed = isHeld ? this.#events(client.audience, offset, after, this.#sent, this.#budget()) : undefined;
    const isFitting = missed !== undefined && missed.length <= client.creditLimit;
    return Buffer.concat([isFitting ? missed : server.gap("presence", offset, [client]), position]);
  }

  #schedule(): void {
    if (this.#timer || this.#isInFlight) return;
    const { clock } = this.#options;
    this.#timer = clock.after(Math.max(0, this.#nextRunAt - clock.monotonic()), () => {
      this.#timer = undefined;
      this.#run();
    });
  }

  #run(): void {
    const { log, clock } = this.#options;
    if (this.#watchers.size === 0) {
      this.#note(log.last);
      return;
    }
    this.#nextRunAt = clock.monotonic() + RUN_INTERVAL_MS;
    const isLost = this.#sent < log.floor;
    const through = isLost ? log.last : Math.min(log.last, this.#sent + MAX_RUN_EVENTS);
    const missed = new Set(this.#missed);
    this.#missed.clear();
    const budget = this.#budget();
    let receivers = this.#sendGaps(missed, through);
    for (const [audience, clients] of through > this.#sent ? this.#watchers : []) {
      for (const [offset, group] of this.#byOffset(clients, missed)) {
        const events = isLost ? undefined : this.#events(audience, offset, this.#sent, through, budget);
        receivers += this.#send(group, events ?? this.#gap(offset, through, group));
      }
    }
    this.#note(through);
    if (receivers > 0) this.#fence();
    else this.#continue();
  }

  #continue(): void {
    if (this.#sent < this.#options.log.last || this.#missed.size > 0) this.#schedule();
  }

  /** Mongrel2 must have taken a run before the next: it kills a connection at its 17th undelivered message (docs/architecture/mongrel2.md 2.1). */
  #fence(): void {
    const generation = this.#generation;
    this.#isInFlight = true;
    this.#options.server.outlet.fence(() => {
      if (generation !== this.#generation) return;
      this.#isInFlight = false;
      this.#continue();
    });
  }

  /** Clients at the same position of the history get the same bytes. */
  #byOffset(clients: Iterable<Client>, except: ReadonlySet<Client>): Map<number, Client[]> {
    const groups = new Map<number, Client[]>();
    for (const client of clients) {
      if (except.has(client)) continue;
      const offset = Math.max(0, this.#options.server.sentOffset(client));
      const group = groups.get(offset);
      if (group) group.push(client);
      else groups.set(offset, [client]);
    }
    return groups;
  }

  #sendGaps(clients: ReadonlySet<Client>, through: number): number {
    let receivers = 0;
    for (const [offset, group] of this.#byOffset(clients, NO_CLIENTS))
      receivers += this.#send(group, this.#gap(offset, through, group));
    return receivers;
  }

  #gap(offset: number, number: number, clients: readonly Client[]): Buffer {
    const gap = this.#options.server.gap("presence", offset, clients);
    return Buffer.concat([gap, encodeEvent({ id: this.#id(offset, number) })]);
  }

  /** The events above a number for an audience; undefined = making them would take too long. */
  #events(
    audience: Audience<Client>,
    offset: number,
    after: number,
    through: number,
    budget: RunBudget,
  ): Buffer | undefined {
    const { log, clock } = this.#options;
    const chunks: Buffer[] = [];
    for (const [number, { topic, ...event }] of log.between(after, through)) {
      if (budget.untimedEvents-- <= 0 && clock.monotonic() > budget.deadline) return undefined;
      const publication = { offset, id: "", topics: [topic], private: true, time: 0, bytes: NO_BYTES };
      if (audience.wants(publication)) chunks.push(encodeEvent({ ...event, id: this.#id(offset, number) }));
    }
    return Buffer.concat(chunks);
  }

  /** Returns the number of receivers. Clients without credit for the body get a gap event later. */
  #send(clients: readonly Client[], body: Buffer): number {
    if (body.length === 0) return 0;
    const receivers: Client[] = [];
    for (const client of clients) {
      const bytes = client.audience.maxWireBytes(body.length);
      if (client.creditAvailable < Math.min(bytes, client.creditLimit)) this.#missed.add(client);
      else receivers.push(client);
    }
    this.#options.server.sendAlone(receivers, body);
    return receivers.length;
  }

  /** Log events up to this number are sent. */
  #note(sent: number): void {
    if (sent === this.#sent) return;
    this.#sent = sent;
    const [runs, head] = [this.#runs, this.#options.history.last];
    const last = runs.at(-1);
    if (last?.head === head) last.sent = sent;
    else runs.push({ head, sent });
    while ((runs[1]?.sent ?? Number.POSITIVE_INFINITY) <= this.#options.log.floor) runs.shift();
  }

  #id(offset: number, number: number): string {
    return presenceId(this.#options.history.epoch, offset, this.#options.log.instance, number);
  }

  #budget(): RunBudget {
    return { deadline: this.#options.clock.monotonic() + MAX_RUN_MS, untimedEvents: UNTIMED_EVENTS };
  }
}

const NO_BYTES = Buffer.alloc(0);
const NO_CLIENTS: ReadonlySet<Client> = new Set();
