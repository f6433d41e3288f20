/**
 * Going on with browsers that an earlier process, or an earlier life of the link, was serving: Mongrel2 holds their sockets,
 * so if it is still the same Mongrel2, they need not notice. If it is another one, the same ids are other people's, and no
 * event may reach them: so nothing is adopted without proof.
 *
 * The proof: the control port's connection has lasted (instance "same"), or Mongrel2 has last read from some connection longer ago
 * than when we were last known to be there. A Mongrel2 that started later cannot have read before it started; and had it restarted
 * while we were there, we would have noticed. Its clock for `last_read` moves in steps (limits.tick_timer, 10 s), so the proof may
 * take one step to show; until then we ask again. (Ids are never reused within one life of Mongrel2.)
 *
 * Without proof, after PROOF_TIMEOUT_MS, whoever was ours and is still connected is cancelled: a browser then comes back by itself
 * with its last event id, and a stranger merely reconnects. So it is where the control port does not answer. Where Mongrel2 is known
 * to be another one (instance "restarted") the old ids are forgotten, and nobody is cancelled.
 *
 * What else may have been left behind is decided by the rules of orphans.ts.
 */
import type { PreviousClients, StoredClient } from "../delivery/ports.js";
import type { RequestRecord } from "../delivery/request-record.js";
import type { NetRow } from "../protocol/control-protocol.js";
import type { Cancel, Clock } from "../util/clock.js";
import { planAdoption } from "./adopt-clients.js";
import type { AdoptionReport } from "./adoption-report.js";
import type { Exclusivity } from "./exclusive-database.js";
import type { InstanceVerdict } from "./instance-evidence.js";
import { Orphans } from "./orphans.js";
import type { UnheardSweep } from "./unheard-sweep.js";

/** After the link has become live, milliseconds: requests that were waiting come first, so that their ids are known. */
const FIRST = 50;
/** Between two questions to the control port, milliseconds: each holds Mongrel2 up for some milliseconds. */
const ASK_EVERY = 500;
/** From the first look to closing what is exclusively ours: requests under way to us have come by then. */
const EXCLUSIVE_WAIT_MS = 2000;
/** How long to wait for a proof: a step of Mongrel2's clock at its default, and some. */
const PROOF_TIMEOUT_MS = 12_000;
/** Between two looks at unknown connections, at most, so that what is reported of them is true. */
const MAX_REVIEW_INTERVAL_MS = 30_000;
/** Between two questions to a control port that has not answered for PROOF_TIMEOUT_MS. */
const UNREACHABLE_INTERVAL_MS = 10_000;
export interface ConnectionAdoptionOptions {
  readonly clock: Clock;
  /** Asks for Mongrel2's connections; undefined = no control port is configured, so nothing can be proven. */
  readonly connections: (() => Promise<readonly NetRow[]>) | undefined;
  /** Whether this process has heard of the connection, and it may be open: then it is not the old client's, or is so no more. */
  readonly isTaken: (id: number) => boolean;
  readonly adopt: (client: StoredClient) => void;
  /** These will not be served on: their connection is cancelled, gone, or somebody else's by now. */
  readonly forget: (clients: readonly StoredClient[]) => void;
  /** Cancels connections. */
  readonly cancel: (ids: readonly number[]) => void;
  readonly sweep: Pick<UnheardSweep, "run" | "stop">;
  readonly requests: RequestRecord;
  /** Whether nobody else answers requests of this Mongrel2. Never rejects. */
  readonly exclusivity: () => Promise<Exclusivity>;
  /** How long no byte must have moved on an unknown connection before it is closed, milliseconds; 0 = never. */
  readonly orphanTimeout: number;
  /** What is stored is true again: everything old is adopted, cancelled or gone. */
  readonly settled: (result: AdoptionResult) => void;
  /** The control port did not answer; it is asked again. */
  readonly failed: (error: unknown) => void;
  readonly report: AdoptionReport;
}

export interface AdoptionResult {
  readonly adopted: number;
  readonly cancelled: number;
  /** Old clients that are not connected any more. */
  readonly gone: number;
  readonly proven: boolean;
}

/** One recovery, from the link's becoming live until all is decided. */
interface Open {
  /** Undefined once it is settled. */
  legacy: PreviousClients | undefined;
  readonly isMissing: boolean;
  readonly aliveAt: number;
  readonly instance: InstanceVerdict;
  readonly liveSince: number;
  readonly orphans: Orphans;
  /** Undefined until the database is read. */
  exclusivity: Exclusivity | undefined;
  /** When the control port's first answer came. */
  firstLook: number | undefined;
  /** The highest id that was known when the link became live. */
  readonly highest: number;
}

export class ConnectionAdoption {
  readonly #options: ConnectionAdoptionOptions;
  #again: Cancel | undefined;
  /** Undefined when all is decided, and before begin(). */
  #open: Open | undefined;

  constructor(options: ConnectionAdoptionOptions) {
    this.#options = options;
  }

  /** Clients and requests that an earlier process or link left are decided, or kept as orphans for the next process. */
  get isOver(): boolean {
    return this.#open?.legacy === undefined && this.#options.requests.previous === undefined;
  }

  /** Begins, when the link has become live. */
  begin(legacy: PreviousClients, instance: InstanceVerdict = "unknown"): void {
    this.stop();
    if (instance === "restarted") {
      this.#forgetAll(legacy);
      return;
    }
    const { clock, requests, isTaken, cancel, orphanTimeout, exclusivity } = this.#options;
    const highest = legacy.clients.reduce((most, { id }) => Math.max(most, id), requests.highest);
    const open: Open = {
      legacy,
      isMissing: legacy.isMissing,
      aliveAt: legacy.aliveAt,
      instance,
      liveSince: clock.monotonic(),
      orphans: new Orphans({ requests, isTaken, cancel, timeoutMs: orphanTimeout }),
      exclusivity: undefined,
      firstLook: undefined,
      highest,
    };
    this.#open = open;
    void exclusivity().then((answer) => {
      open.exclusivity = answer;
    });
    this.#wait(open, FIRST);
  }

  stop(): void {
    this.#again?.();
    this.#again = undefined;
    this.#open = undefined;
    this.#options.sweep.stop();
  }

  #wait(open: Open, milliseconds: number): void {
    this.#again = this.#options.clock.after(milliseconds, () => this.#ask(open));
  }

  /** Every id of the record is somebody else's by now, or nobody's. */
  #forgetAll(legacy: PreviousClients): void {
    this.#options.requests.reset();
    this.#settle(legacy, { adopted: 0, cancelled: 0, gone: legacy.clients.length, proven: false });
    this.#options.report.unknown(0, "");
  }

  #ask(open: Open): void {
    const { connections, clock, failed, report } = this.#options;
    if (!connections) {
      this.#decideBlindly(open);
      return;
    }
    const asked = clock.monotonic();
    connections().then(
      (rows) => {
        if (open === this.#open) this.#look(open, rows, asked);
      },
      (error) => {
        if (open !== this.#open) return;
        if (open.legacy) failed(error);
        report.undecided(open.legacy?.clients.length ?? 0);
        if (clock.monotonic() - open.liveSince < PROOF_TIMEOUT_MS) this.#wait(open, ASK_EVERY);
        else this.#decideBlindly(open);
      },
    );
  }

  // ---- With Mongrel2's table of connections --------------------------------------------------------------------------

  #look(open: Open, rows: readonly NetRow[], asked: number): void {
    const { orphans, legacy, isMissing, aliveAt } = open;
    if (open.firstLook === undefined) {
      open.firstLook = asked;
      const undecided = new Set(legacy?.clients.map(({ id }) => id));
      orphans.look(rows, asked, { aliveAt, isMissing, undecided });
    }
    const isSettled = !legacy || this.#decideClients(open, legacy, rows, asked);
    if (isSettled && this.#options.requests.previous) this.#decideRequests(open, rows);
    this.#decideOrphans(open, rows, asked);
  }

  /** Decides about the clients of the record; true when nothing is left to decide. */
  #decideClients(open: Open, legacy: PreviousClients, rows: readonly NetRow[], asked: number): boolean {
    const { isTaken, report, adopt, requests } = this.#options;
    const { unanswered = new Set<number>() } = requests.previous ?? {};
    const isLate = asked - open.liveSince > PROOF_TIMEOUT_MS;
    const isSame = open.instance === "same";
    const adoption = planAdoption(legacy, { rows, asked, isTaken, unanswered, isSame, isLate });
    if (typeof adoption === "number") {
      report.undecided(adoption);
      return false;
    }
    for (const client of adoption.adopt) adopt(client);
    this.#cancel(adoption.cancel);
    const { proven, gone } = adoption;
    const result = { adopted: adoption.adopt.length, cancelled: adoption.cancel.length, gone, proven };
    this.#settle(legacy, result, new Set(adoption.adopt));
    open.legacy = undefined;
    return true;
  }

  /** Nobody will ever answer what the earlier process had read and not answered. */
  #decideRequests(open: Open, rows: readonly NetRow[] | undefined): void {
    this.#closeUnanswered(open, rows);
    this.#options.requests.previousDecided();
  }

  #closeUnanswered({ orphans }: Open, rows: readonly NetRow[] | undefined): void {
    const closed = orphans.closeUnanswered(rows);
    if (closed > 0) this.#options.report.closed(closed, "ours");
  }

  #decideOrphans(open: Open, rows: readonly NetRow[], asked: number): void {
    const { orphans, exclusivity, legacy, firstLook = asked } = open;
    const { report } = this.#options;
    if (!exclusivity || exclusivity.isExclusive) {
      if (!exclusivity || legacy || asked - firstLook < EXCLUSIVE_WAIT_MS) {
        this.#wait(open, ASK_EVERY);
        return;
      }
      const closed = orphans.closeExclusive(rows);
      if (closed > 0) report.closed(closed, "exclusive");
      this.#finish();
      return;
    }
    const closed = orphans.review(rows, asked);
    if (closed > 0) report.closed(closed, "unknown");
    report.unknown(orphans.count, exclusivity.why);
    const due = orphans.nextDue ?? Number.POSITIVE_INFINITY;
    if (legacy) this.#wait(open, ASK_EVERY);
    else if (orphans.count > 0)
      this.#wait(open, Math.max(ASK_EVERY, Math.min(MAX_REVIEW_INTERVAL_MS, due - asked + 1)));
    else this.#finish();
  }

  // ---- Without it ----------------------------------------------------------------------------------------------------

  /** No control port is configured, or it does not answer: what is ours is closed by its id. */
  #decideBlindly(open: Open): void {
    const { legacy, exclusivity } = open;
    const { clock, sweep, isTaken } = this.#options;
    if (legacy) {
      const left = legacy.clients.map(({ id }) => id).filter((id) => !isTaken(id));
      this.#cancel(left);
      this.#settle(legacy, { adopted: 0, cancelled: left.length, gone: 0, proven: false });
      open.legacy = undefined;
      this.#closeUnanswered(open, undefined);
    }
    const wait = open.liveSince + EXCLUSIVE_WAIT_MS - clock.monotonic();
    if (wait > 0) this.#wait(open, wait);
    else if (!exclusivity) this.#wait(open, ASK_EVERY);
    else if (exclusivity.isExclusive) sweep.run(open.highest, () => this.#swept(open));
    else this.#leaveUndecided(open, exclusivity.why);
  }

  #swept(open: Open): void {
    open.orphans.giveUp();
    this.#options.requests.previousDecided();
    this.#finish();
  }

  /** Neither the control port nor the database says whose a connection is. */
  #leaveUndecided(open: Open, why: string): void {
    const { requests, report, connections } = this.#options;
    const { previous, highest } = requests;
    // With no record, streams may have been lost unless every id so far was heard of.
    const mayBeLost = open.isMissing ? highest > requests.connections : previous?.cleanStop === false;
    if (mayBeLost || open.orphans.count > 0) report.unknown(open.orphans.count || "some", why);
    const isTooEarly = open.isMissing && highest === 0;
    if (connections || isTooEarly) this.#wait(open, UNREACHABLE_INTERVAL_MS);
    else {
      requests.previousDecided();
      this.#open = undefined;
    }
  }

  #finish(): void {
    this.#open = undefined;
    this.#options.report.unknown(0, "");
  }

  #settle(legacy: PreviousClients, result: AdoptionResult, kept: ReadonlySet<StoredClient> = new Set()): void {
    const { forget, settled, report } = this.#options;
    forget(legacy.clients.filter((client) => !kept.has(client)));
    report.undecided(0);
    settled(result);
  }

  #cancel(ids: readonly number[]): void {
    if (ids.length > 0) this.#options.cancel(ids);
  }
}
