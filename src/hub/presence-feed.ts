/**
 * Tells the watchers of one server who comes and goes: what the presence log has gained, as often as PAUSE_MS allows and after
 * Mongrel2 has taken what was told before. So what strangers cause by coming and going is bounded: per turn by RUN_EVENTS and
 * RUN_MS (after UNTIMED_EVENTS), in sum by the pause between two runs. What does not fit is left out, and watchers are told that something is missing.
 *
 * Each event carries an id that names a position in the history and one in the log. An id of a publication names only the first:
 * the log position that belongs to it is that of the last run before that publication (runs), so that a watcher that returns with
 * it misses nothing; it may be told again of what was told while the publication waited to be sent.
 */

import type { Audience } from "../delivery/audience.js";
import type { Client } from "../delivery/client.js";
import type { Outlet } from "../delivery/ports.js";
import { presenceId } from "../protocol/position.js";
import { encodeEvent } from "../protocol/sse.js";
import type { Cancel, Clock } from "../util/clock.js";
import type { PresenceLog } from "./presence-log.js";

export interface PresenceFeedOptions {
  readonly log: PresenceLog;
  readonly outlet: Outlet;
  readonly clock: Clock;
  /** Of the history. */
  readonly epoch: () => string;
  /** The offset of the newest publication. */
  readonly head: () => number;
  /** Everything up to this offset has been handed over for a client, nothing after it. */
  readonly position: (client: Client) => number;
  /** The event that tells a watcher that presence events are missing. */
  readonly gap: (offset: number) => Buffer;
}

/** Between two runs. */
const PAUSE_MS = 100;
/** Events of one run, and the time that making them may take. */
const RUN_EVENTS = 1000;
const RUN_MS = 5;
/**
 * Events that a run makes whatever the clock says. RUN_MS is measured by the clock, and a busy machine suspends the process for longer:
 * without these a watcher of four events would be told of a gap.
 */
const UNTIMED_EVENTS = 64;

/** What one run may cost. */
interface RunBudget {
  readonly deadline: number;
  untimedEvents: number;
}

export class PresenceFeed {
  readonly #options: PresenceFeedOptions;
  readonly #watchers = new Map<Audience, Set<Client>>();
  /** Watchers that had no credit for what was told: they are told that something is missing when they have. */
  readonly #missed = new Set<Client>();
  /** When how much of the log had been told, by the newest publication at that time. Rising; one for each head. */
  readonly #runs: { readonly head: number; told: number }[] = [];
  readonly #start: number;
  #told: number;
  #timer: Cancel | undefined;
  #isUnderway = false;
  #generation = 0;
  #pausesUntil = Number.NEGATIVE_INFINITY;

  constructor(options: PresenceFeedOptions) {
    this.#options = options;
    this.#start = options.head();
    this.#told = options.log.last;
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

  /** The server's connections are lost, and with them every fence. */
  clear(): void {
    this.#generation++;
    this.#isUnderway = false;
    this.#watchers.clear();
    this.#missed.clear();
  }

  close(): void {
    this.clear();
    this.#timer?.();
    this.#timer = undefined;
  }

  /** The log has changed. Where nobody watches there is nobody to tell. */
  changed(): void {
    if (this.#watchers.size === 0) this.#note(this.#options.log.last);
    else this.#schedule();
  }

  /** Everything up to this number had been told before the publication at `offset`; undefined = that was before this process. */
  toldBefore(offset: number): number | undefined {
    if (offset <= this.#start && this.#start > 0) return undefined;
    return this.#runs.findLast(({ head }) => head < offset)?.told ?? 0;
  }

  /**
   * What a watcher is told first: what it missed after a number of the log (undefined = nothing), or that this cannot be told; and
   * its position.
   */
  opening(client: Client, offset: number, after: number | "lost" | undefined): Buffer {
    const { log, gap } = this.#options;
    const position = encodeEvent({ id: this.#id(offset, this.#told) });
    if (after === undefined) return position;
    const isHeld = after !== "lost" && after >= log.floor;
    const missed = isHeld ? this.#events(client.audience, offset, after, this.#told, this.#budget()) : undefined;
    const isFitting = missed !== undefined && missed.length <= client.creditLimit;
    return Buffer.concat([isFitting ? missed : gap(offset), position]);
  }

  #schedule(): void {
    if (this.#timer || this.#isUnderway) return;
    const { clock } = this.#options;
    this.#timer = clock.after(Math.max(0, this.#pausesUntil - clock.monotonic()), () => {
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
    this.#pausesUntil = clock.monotonic() + PAUSE_MS;
    const isLost = this.#told < log.floor;
    const through = isLost ? log.last : Math.min(log.last, this.#told + RUN_EVENTS);
    const missed = new Set(this.#missed);
    this.#missed.clear();
    const budget = this.#budget();
    let sent = this.#tellGap(missed, through);
    for (const [audience, clients] of through > this.#told ? this.#watchers : []) {
      for (const [offset, some] of this.#byPosition(clients, missed)) {
        const events = isLost ? undefined : this.#events(audience, offset, this.#told, through, budget);
        sent += this.#send(some, events ?? this.#gap(offset, through));
      }
    }
    this.#note(through);
    if (sent > 0) this.#fence();
    else this.#again();
  }

  #again(): void {
    if (this.#told < this.#options.log.last || this.#missed.size > 0) this.#schedule();
  }

  /** Mongrel2 must have taken a run before the next: a connection dies at its 17th message that waits (mongrel2.md 2.1). */
  #fence(): void {
    const generation = this.#generation;
    this.#isUnderway = true;
    this.#options.outlet.fence(() => {
      if (generation !== this.#generation) return;
      this.#isUnderway = false;
      this.#again();
    });
  }

  /** Clients that are at the same place of the history are told the same bytes. */
  #byPosition(clients: Iterable<Client>, except: ReadonlySet<Client>): Map<number, Client[]> {
    const groups = new Map<number, Client[]>();
    for (const client of clients) {
      if (except.has(client)) continue;
      const offset = Math.max(0, this.#options.position(client));
      const group = groups.get(offset);
      if (group) group.push(client);
      else groups.set(offset, [client]);
    }
    return groups;
  }

  #tellGap(clients: ReadonlySet<Client>, through: number): number {
    let sent = 0;
    for (const [offset, some] of this.#byPosition(clients, NOBODY))
      sent += this.#send(some, this.#gap(offset, through));
    return sent;
  }

  #gap(offset: number, number: number): Buffer {
    return Buffer.concat([this.#options.gap(offset), encodeEvent({ id: this.#id(offset, number) })]);
  }

  /** What an audience is told of the events above a number; undefined = it would take too long. */
  #events(audience: Audience, offset: number, after: number, through: number, budget: RunBudget): Buffer | undefined {
    const { log, clock } = this.#options;
    const chunks: Buffer[] = [];
    for (const [number, { topic, ...event }] of log.between(after, through)) {
      if (budget.untimedEvents-- <= 0 && clock.monotonic() > budget.deadline) return undefined;
      const publication = { offset, id: "", topics: [topic], private: true, time: 0, bytes: NOTHING };
      if (audience.wants(publication)) chunks.push(encodeEvent({ ...event, id: this.#id(offset, number) }));
    }
    return Buffer.concat(chunks);
  }

  /** How many it was sent to. Those without credit for it are told of the gap later. */
  #send(clients: readonly Client[], body: Buffer): number {
    if (body.length === 0) return 0;
    const { outlet } = this.#options;
    const able: Client[] = [];
    for (const client of clients) {
      if (client.creditAvailable < Math.min(body.length, client.creditLimit)) this.#missed.add(client);
      else {
        client.creditAvailable -= body.length;
        able.push(client);
      }
    }
    for (let from = 0; from < able.length; from += outlet.maxTargets) {
      const ids = able.slice(from, from + outlet.maxTargets).map(({ id }) => id);
      outlet.deliver(outlet.address(ids), body);
    }
    return able.length;
  }

  #note(told: number): void {
    if (told === this.#told) return;
    this.#told = told;
    const [runs, head] = [this.#runs, this.#options.head()];
    const last = runs.at(-1);
    if (last?.head === head) last.told = told;
    else runs.push({ head, told });
    while ((runs[1]?.told ?? Number.POSITIVE_INFINITY) <= this.#options.log.floor) runs.shift();
  }

  #id(offset: number, number: number): string {
    return presenceId(this.#options.epoch(), offset, this.#options.log.instance, number);
  }

  #budget(): RunBudget {
    return { deadline: this.#options.clock.monotonic() + RUN_MS, untimedEvents: UNTIMED_EVENTS };
  }
}

const NOTHING = Buffer.alloc(0);
const NOBODY: ReadonlySet<Client> = new Set();
