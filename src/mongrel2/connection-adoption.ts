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
import { planAdoption } from "./adoption-plan.js";
import type { AdoptionReport } from "./adoption-report.js";
import type { Exclusivity } from "./exclusivity-check.js";
import type { InstanceVerdict } from "./instance-evidence.js";
import { Orphans } from "./orphans.js";
import type { UnknownConnectionSweep } from "./unknown-connection-sweep.js";

/** After the link has become live, milliseconds: requests that were waiting come first, so that their ids are known. */
const FIRST_LOOK_DELAY_MS = 50;
/** Between two questions to the control port, milliseconds: each holds Mongrel2 up for some milliseconds. */
const QUERY_INTERVAL_MS = 500;
/** From the first look to closing what is exclusively ours: requests under way to us have come by then. */
const EXCLUSIVE_DELAY_MS = 2000;
/** How long to wait for a proof: a step of Mongrel2's clock at its default, and some. */
const PROOF_TIMEOUT_MS = 12_000;
/** Between two looks at unknown connections, at most, so that what is reported of them is true. */
const MAX_REVIEW_INTERVAL_MS = 30_000;
/** Between two questions to a control port that has not answered for PROOF_TIMEOUT_MS. */
const UNREACHABLE_QUERY_INTERVAL_MS = 10_000;
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
  readonly sweep: Pick<UnknownConnectionSweep, "run" | "stop">;
  readonly requests: RequestRecord;
  /** Whether nobody else answers requests of this Mongrel2. Never rejects. */
  readonly exclusivity: () => Promise<Exclusivity>;
  /** How long no byte must have moved on an unknown connection before it is closed, milliseconds; 0 = never. */
  readonly orphanTimeoutMs: number;
  /** What is stored is true again: everything old is adopted, cancelled or gone. */
  readonly decided: (result: AdoptionResult) => void;
  /** The control port did not answer; it is asked again. */
  readonly queryFailed: (error: unknown) => void;
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
interface Adoption {
  /** Undefined once it is settled. */
  previous: PreviousClients | undefined;
  readonly isMissing: boolean;
  readonly aliveAt: number;
  readonly verdict: InstanceVerdict;
  readonly liveAt: number;
  readonly orphans: Orphans;
  /** Undefined until the database is read. */
  exclusivity: Exclusivity | undefined;
  /** When the control port's first answer came. */
  firstLookAt: number | undefined;
  /** The highest id that was known when the link became live. */
  readonly highestId: number;
}

export class ConnectionAdoption {
  readonly #options: ConnectionAdoptionOptions;
  #cancelQuery: Cancel | undefined;
  /** Undefined when all is decided, and before begin(). */
  #current: Adoption | undefined;

  constructor(options: ConnectionAdoptionOptions) {
    this.#options = options;
  }

  /** Clients and requests that an earlier process or link left are decided, or kept as orphans for the next process. */
  get isDecided(): boolean {
    return this.#current?.previous === undefined && this.#options.requests.previous === undefined;
  }

  /** Begins, when the link has become live. */
  begin(previous: PreviousClients, verdict: InstanceVerdict = "unknown"): void {
    this.stop();
    if (verdict === "restarted") {
      this.#forgetAll(previous);
      return;
    }
    const { clock, requests, isTaken, cancel, orphanTimeoutMs: orphanTimeout, exclusivity } = this.#options;
    const highestId = previous.clients.reduce((most, { id }) => Math.max(most, id), requests.highest);
    const adoption: Adoption = {
      previous: previous,
      isMissing: previous.isMissing,
      aliveAt: previous.aliveAt,
      verdict: verdict,
      liveAt: clock.monotonic(),
      orphans: new Orphans({ requests, isTaken, cancel, timeoutMs: orphanTimeout }),
      exclusivity: undefined,
      firstLookAt: undefined,
      highestId: highestId,
    };
    this.#current = adoption;
    void exclusivity().then((answer) => {
      adoption.exclusivity = answer;
    });
    this.#queryAfter(adoption, FIRST_LOOK_DELAY_MS);
  }

  stop(): void {
    this.#cancelQuery?.();
    this.#cancelQuery = undefined;
    this.#current = undefined;
    this.#options.sweep.stop();
  }

  #queryAfter(adoption: Adoption, delayMs: number): void {
    this.#cancelQuery = this.#options.clock.after(delayMs, () => this.#query(adoption));
  }

  /** Every id of the record is somebody else's by now, or nobody's. */
  #forgetAll(previous: PreviousClients): void {
    this.#options.requests.reset();
    this.#clientsDecided(previous, { adopted: 0, cancelled: 0, gone: previous.clients.length, proven: false });
    this.#options.report.orphansUnknown(0, "");
  }

  #query(adoption: Adoption): void {
    const { connections, clock, queryFailed: failed, report } = this.#options;
    if (!connections) {
      this.#decideWithoutTable(adoption);
      return;
    }
    const askedAt = clock.monotonic();
    connections().then(
      (rows) => {
        if (adoption === this.#current) this.#decide(adoption, rows, askedAt);
      },
      (error) => {
        if (adoption !== this.#current) return;
        if (adoption.previous) failed(error);
        report.undecided(adoption.previous?.clients.length ?? 0);
        if (clock.monotonic() - adoption.liveAt < PROOF_TIMEOUT_MS) this.#queryAfter(adoption, QUERY_INTERVAL_MS);
        else this.#decideWithoutTable(adoption);
      },
    );
  }

  // ---- With Mongrel2's table of connections --------------------------------------------------------------------------

  #decide(adoption: Adoption, rows: readonly NetRow[], askedAt: number): void {
    const { orphans, previous: legacy, isMissing, aliveAt } = adoption;
    if (adoption.firstLookAt === undefined) {
      adoption.firstLookAt = askedAt;
      const undecided = new Set(legacy?.clients.map(({ id }) => id));
      orphans.firstLook(rows, askedAt, { aliveAt, isMissing, undecided });
    }
    const areClientsDecided = !legacy || this.#decideClients(adoption, legacy, rows, askedAt);
    if (areClientsDecided && this.#options.requests.previous) this.#decideRequests(adoption, rows);
    this.#decideOrphans(adoption, rows, askedAt);
  }

  /** Decides about the clients of the record; true when nothing is left to decide. */
  #decideClients(current: Adoption, previous: PreviousClients, rows: readonly NetRow[], askedAt: number): boolean {
    const { isTaken, report, adopt, requests } = this.#options;
    const { unanswered = new Set<number>() } = requests.previous ?? {};
    const isPastDeadline = askedAt - current.liveAt > PROOF_TIMEOUT_MS;
    const isSameInstance = current.verdict === "same";
    const plan = planAdoption(previous, {
      rows,
      askedAt: askedAt,
      isTaken,
      unanswered,
      isSameInstance: isSameInstance,
      isPastDeadline: isPastDeadline,
    });
    if (typeof plan === "number") {
      report.undecided(plan);
      return false;
    }
    for (const client of plan.adopt) adopt(client);
    this.#cancel(plan.cancel);
    const { isProven: proven, gone } = plan;
    const result = { adopted: plan.adopt.length, cancelled: plan.cancel.length, gone, proven };
    this.#clientsDecided(previous, result, new Set(plan.adopt));
    current.previous = undefined;
    return true;
  }

  /** Nobody will ever answer what the earlier process had read and not answered. */
  #decideRequests(adoption: Adoption, rows: readonly NetRow[] | undefined): void {
    this.#closeUnanswered(adoption, rows);
    this.#options.requests.previousDecided();
  }

  #closeUnanswered({ orphans }: Adoption, rows: readonly NetRow[] | undefined): void {
    const closed = orphans.closeUnanswered(rows);
    if (closed > 0) this.#options.report.orphansClosed(closed, "ours");
  }

  #decideOrphans(adoption: Adoption, rows: readonly NetRow[], askedAt: number): void {
    const { orphans, exclusivity, previous: legacy, firstLookAt: firstLook = askedAt } = adoption;
    const { report } = this.#options;
    if (!exclusivity || exclusivity.isExclusive) {
      if (!exclusivity || legacy || askedAt - firstLook < EXCLUSIVE_DELAY_MS) {
        this.#queryAfter(adoption, QUERY_INTERVAL_MS);
        return;
      }
      const closed = orphans.closeExclusive(rows);
      if (closed > 0) report.orphansClosed(closed, "exclusive");
      this.#finish();
      return;
    }
    const closed = orphans.review(rows, askedAt);
    if (closed > 0) report.orphansClosed(closed, "unknown");
    report.orphansUnknown(orphans.count, exclusivity.reason);
    const due = orphans.nextDue ?? Number.POSITIVE_INFINITY;
    if (legacy) this.#queryAfter(adoption, QUERY_INTERVAL_MS);
    else if (orphans.count > 0)
      this.#queryAfter(adoption, Math.max(QUERY_INTERVAL_MS, Math.min(MAX_REVIEW_INTERVAL_MS, due - askedAt + 1)));
    else this.#finish();
  }

  // ---- Without it ----------------------------------------------------------------------------------------------------

  /** No control port is configured, or it does not answer: what is ours is closed by its id. */
  #decideWithoutTable(adoption: Adoption): void {
    const { previous: legacy, exclusivity } = adoption;
    const { clock, sweep, isTaken } = this.#options;
    if (legacy) {
      const candidates = legacy.clients.map(({ id }) => id).filter((id) => !isTaken(id));
      this.#cancel(candidates);
      this.#clientsDecided(legacy, { adopted: 0, cancelled: candidates.length, gone: 0, proven: false });
      adoption.previous = undefined;
      this.#closeUnanswered(adoption, undefined);
    }
    const delayMs = adoption.liveAt + EXCLUSIVE_DELAY_MS - clock.monotonic();
    if (delayMs > 0) this.#queryAfter(adoption, delayMs);
    else if (!exclusivity) this.#queryAfter(adoption, QUERY_INTERVAL_MS);
    else if (exclusivity.isExclusive) sweep.run(adoption.highestId, () => this.#sweepDone(adoption));
    else this.#leaveUndecided(adoption, exclusivity.reason);
  }

  #sweepDone(adoption: Adoption): void {
    adoption.orphans.giveUp();
    this.#options.requests.previousDecided();
    this.#finish();
  }

  /** Neither the control port nor the database says whose a connection is. */
  #leaveUndecided(adoption: Adoption, reason: string): void {
    const { requests, report, connections } = this.#options;
    const { previous, highest } = requests;
    // With no record, streams may have been lost unless every id so far was heard of.
    const mayBeLost = adoption.isMissing ? highest > requests.connections : previous?.cleanStop === false;
    if (mayBeLost || adoption.orphans.count > 0) report.orphansUnknown(adoption.orphans.count || "some", reason);
    const isTooEarly = adoption.isMissing && highest === 0;
    if (connections || isTooEarly) this.#queryAfter(adoption, UNREACHABLE_QUERY_INTERVAL_MS);
    else {
      requests.previousDecided();
      this.#current = undefined;
    }
  }

  #finish(): void {
    this.#current = undefined;
    this.#options.report.orphansUnknown(0, "");
  }

  #clientsDecided(
    previous: PreviousClients,
    result: AdoptionResult,
    adopted: ReadonlySet<StoredClient> = new Set(),
  ): void {
    const { forget, decided: settled, report } = this.#options;
    forget(previous.clients.filter((client) => !adopted.has(client)));
    report.undecided(0);
    settled(result);
  }

  #cancel(ids: readonly number[]): void {
    if (ids.length > 0) this.#options.cancel(ids);
  }
}
