/**
 * Adopts the connections that an earlier process, or an earlier generation of the link, served. Mongrel2 holds the sockets: if it is
 * still the same process, the clients notice nothing. A restarted Mongrel2 gives the same ids to other clients
 * (docs/architecture/mongrel2.md 2.7), and no event may reach them: nothing is adopted without proof.
 *
 * Proof is either of:
 * - The control port's connection has lasted (verdict "same", instance-evidence.ts).
 * - Mongrel2 last read from some connection before the earlier process was last known to run. A Mongrel2 that started later cannot
 *   have read before it started, and the earlier process would have noticed a restart. The stamps move in steps
 *   (limits.tick_timer, 10 s), so this proof may need one step; the control port is queried until then.
 *
 * Without proof, PROOF_TIMEOUT_MS after the link became live, the clients of the record that are still connected are cancelled: their
 * browsers reconnect with their last event id. The same happens where the control port does not answer. With verdict
 * "restarted" the record is dropped and no connection is cancelled. orphans.ts decides about all other connections.
 */
import type { PreviousClients, StoredClient } from "../delivery/client-store.js";
import type { RequestRecord } from "../delivery/request-record.js";
import type { NetRow } from "../protocol/control-protocol.js";
import type { Cancel, Clock } from "../util/clock.js";
import { planAdoption } from "./adoption-plan.js";
import type { AdoptionReport } from "./adoption-report.js";
import type { Exclusivity } from "./exclusivity-check.js";
import type { InstanceVerdict } from "./instance-evidence.js";
import { Orphans } from "./orphans.js";
import type { UnknownConnectionSweep } from "./unknown-connection-sweep.js";

/** From the live link to the first query: the requests that Mongrel2 held back arrive first, so that their ids are known. */
const FIRST_LOOK_DELAY_MS = 50;
/** Between two queries: each blocks Mongrel2 for some milliseconds (docs/architecture/mongrel2.md 3). */
const QUERY_INTERVAL_MS = 500;
/** From the first look to closing exclusive connections: requests on their way to this process have arrived by then. */
const EXCLUSIVE_DELAY_MS = 2000;
/** How long to wait for a proof: one step of Mongrel2's stamps at its default, and a margin. */
const PROOF_TIMEOUT_MS = 12_000;
/** The longest time between two looks at unknown connections, so that their reported number stays true. */
const MAX_REVIEW_INTERVAL_MS = 30_000;
/** Between two queries to a control port that has not answered for PROOF_TIMEOUT_MS. */
const UNREACHABLE_QUERY_INTERVAL_MS = 10_000;

export interface ConnectionAdoptionOptions {
  readonly clock: Clock;
  /** Fetches Mongrel2's table of connections; undefined = no control port is configured, so nothing can be proven. */
  readonly connections: (() => Promise<readonly NetRow[]>) | undefined;
  /** Whether this process has received a request of the connection, which may still be open: the old client has gone. */
  readonly isTaken: (id: number) => boolean;
  readonly adopt: (client: StoredClient) => void;
  /** Clients that are not adopted. */
  readonly forget: (clients: readonly StoredClient[]) => void;
  /** Closes connections at once. */
  readonly cancel: (ids: readonly number[]) => void;
  readonly sweep: Pick<UnknownConnectionSweep, "run" | "stop">;
  readonly requests: RequestRecord;
  /** Whether no other application answers requests of this Mongrel2. Never rejects. */
  readonly exclusivity: () => Promise<Exclusivity>;
  /** How long no byte may have moved on an unknown connection before it is closed, milliseconds; 0 = never. */
  readonly orphanTimeoutMs: number;
  /** The stored clients are true again: every old client is adopted, cancelled or gone. */
  readonly decided: (result: AdoptionResult) => void;
  /** The control port did not answer; it is queried again. */
  readonly queryFailed: (error: unknown) => void;
  readonly report: AdoptionReport;
}

/** Numbers of clients; `gone`: those that are not connected any more. */
export interface AdoptionResult {
  readonly adopted: number;
  readonly cancelled: number;
  readonly gone: number;
  readonly proven: boolean;
}

/** One adoption, from the live link until everything is decided. Times are monotonic milliseconds. */
interface Adoption {
  /** Undefined once its clients are decided. */
  previous: PreviousClients | undefined;
  readonly isMissing: boolean;
  readonly aliveAt: number;
  readonly verdict: InstanceVerdict;
  readonly liveAt: number;
  readonly orphans: Orphans;
  /** Undefined until the database is read. */
  exclusivity: Exclusivity | undefined;
  /** When the control port was queried for its first reply. */
  firstLookAt: number | undefined;
  /** The highest id that was known when the link became live. */
  readonly highestId: number;
}

export class ConnectionAdoption {
  readonly #options: ConnectionAdoptionOptions;
  #cancelQuery: Cancel | undefined;
  /** Undefined before begin(), and when everything is decided. */
  #current: Adoption | undefined;

  constructor(options: ConnectionAdoptionOptions) {
    this.#options = options;
  }

  /** Whether all clients and requests of the earlier process or link are decided, or kept as orphans for the next process. */
  get isDecided(): boolean {
    return this.#current?.previous === undefined && this.#options.requests.previous === undefined;
  }

  /** Starts an adoption, and ends the one before: when the link has become live. */
  begin(previous: PreviousClients, verdict: InstanceVerdict = "unknown"): void {
    this.stop();
    if (verdict === "restarted") this.#forgetAll(previous);
    else this.#begin(previous, verdict);
  }

  stop(): void {
    this.#cancelQuery?.();
    this.#cancelQuery = undefined;
    this.#current = undefined;
    this.#options.sweep.stop();
  }

  #begin(previous: PreviousClients, verdict: InstanceVerdict): void {
    const { clock, requests, isTaken, cancel, orphanTimeoutMs: timeoutMs, exclusivity } = this.#options;
    const { isMissing, aliveAt } = previous;
    const adoption: Adoption = {
      ...{ previous, isMissing, aliveAt, verdict },
      liveAt: clock.monotonic(),
      orphans: new Orphans({ requests, isTaken, cancel, timeoutMs }),
      exclusivity: undefined,
      firstLookAt: undefined,
      highestId: previous.clients.reduce((highest, { id }) => Math.max(highest, id), requests.highest),
    };
    this.#current = adoption;
    void exclusivity().then((result) => {
      adoption.exclusivity = result;
    });
    this.#queryAfter(adoption, FIRST_LOOK_DELAY_MS);
  }

  /** Mongrel2 has restarted: every id of the record is free, or belongs to another client. */
  #forgetAll(previous: PreviousClients): void {
    this.#options.requests.reset();
    this.#clientsDecided(previous, { adopted: 0, cancelled: 0, gone: previous.clients.length, proven: false });
    this.#options.report.orphansUnknown(0, "");
  }

  #queryAfter(adoption: Adoption, delayMs: number): void {
    this.#cancelQuery = this.#options.clock.after(delayMs, () => this.#query(adoption));
  }

  #query(adoption: Adoption): void {
    const { connections, clock } = this.#options;
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
        if (adoption === this.#current) this.#queryFailed(adoption, error);
      },
    );
  }

  #queryFailed(adoption: Adoption, error: unknown): void {
    const { clock, report, queryFailed } = this.#options;
    if (adoption.previous) queryFailed(error);
    report.undecided(adoption.previous?.clients.length ?? 0);
    if (clock.monotonic() - adoption.liveAt < PROOF_TIMEOUT_MS) this.#queryAfter(adoption, QUERY_INTERVAL_MS);
    else this.#decideWithoutTable(adoption);
  }

  /** Decides what Mongrel2's table of connections proves. */
  #decide(adoption: Adoption, rows: readonly NetRow[], askedAt: number): void {
    const { orphans, previous, isMissing, aliveAt } = adoption;
    if (adoption.firstLookAt === undefined) {
      adoption.firstLookAt = askedAt;
      const undecided = new Set(previous?.clients.map(({ id }) => id));
      orphans.firstLook(rows, askedAt, { aliveAt, isMissing, undecided });
    }
    const areClientsDecided = !previous || this.#decideClients(adoption, previous, rows, askedAt);
    if (areClientsDecided && this.#options.requests.previous) this.#decideRequests(adoption, rows);
    this.#decideOrphans(adoption, rows, askedAt);
  }

  /** Decides about the clients of the record. Returns false while they wait for a proof. */
  #decideClients(adoption: Adoption, previous: PreviousClients, rows: readonly NetRow[], askedAt: number): boolean {
    const { isTaken, report, adopt, requests } = this.#options;
    const { unanswered = new Set<number>() } = requests.previous ?? {};
    const isPastDeadline = askedAt - adoption.liveAt > PROOF_TIMEOUT_MS;
    const isSameInstance = adoption.verdict === "same";
    const plan = planAdoption(previous, { rows, askedAt, isTaken, unanswered, isSameInstance, isPastDeadline });
    if (plan.kind === "waiting") {
      report.undecided(plan.clients);
      return false;
    }
    for (const client of plan.adopt) adopt(client);
    if (plan.cancel.length > 0) this.#options.cancel(plan.cancel);
    const { proven, gone } = plan;
    const result = { adopted: plan.adopt.length, cancelled: plan.cancel.length, gone, proven };
    this.#clientsDecided(previous, result, new Set(plan.adopt));
    adoption.previous = undefined;
    return true;
  }

  /** No process will answer the requests that the earlier process read and did not answer. */
  #decideRequests(adoption: Adoption, rows: readonly NetRow[] | undefined): void {
    this.#closeUnanswered(adoption, rows);
    this.#options.requests.previousDecided();
  }

  #closeUnanswered({ orphans }: Adoption, rows: readonly NetRow[] | undefined): void {
    const closed = orphans.closeUnanswered(rows);
    if (closed > 0) this.#options.report.orphansClosed(closed, "ours");
  }

  #decideOrphans(adoption: Adoption, rows: readonly NetRow[], askedAt: number): void {
    const { exclusivity } = adoption;
    if (!exclusivity) this.#queryAfter(adoption, QUERY_INTERVAL_MS);
    else if (exclusivity.isExclusive) this.#decideExclusive(adoption, rows, askedAt);
    else this.#reviewUnknown(adoption, rows, askedAt, exclusivity.reason);
  }

  #decideExclusive(adoption: Adoption, rows: readonly NetRow[], askedAt: number): void {
    const { orphans, previous, firstLookAt = askedAt } = adoption;
    if (previous || askedAt - firstLookAt < EXCLUSIVE_DELAY_MS) {
      this.#queryAfter(adoption, QUERY_INTERVAL_MS);
      return;
    }
    const closed = orphans.closeExclusive(rows);
    if (closed > 0) this.#options.report.orphansClosed(closed, "exclusive");
    this.#finish();
  }

  #reviewUnknown(adoption: Adoption, rows: readonly NetRow[], askedAt: number, reason: string): void {
    const { orphans, previous } = adoption;
    const { report } = this.#options;
    const closed = orphans.review(rows, askedAt);
    if (closed > 0) report.orphansClosed(closed, "unknown");
    report.orphansUnknown(orphans.count, reason);
    const dueInMs = (orphans.nextDue ?? Number.POSITIVE_INFINITY) - askedAt + 1;
    const delayMs = Math.max(QUERY_INTERVAL_MS, Math.min(MAX_REVIEW_INTERVAL_MS, dueInMs));
    if (previous) this.#queryAfter(adoption, QUERY_INTERVAL_MS);
    else if (orphans.count > 0) this.#queryAfter(adoption, delayMs);
    else this.#finish();
  }

  /** No control port is configured, or it does not answer: connections are closed by their ids alone. */
  #decideWithoutTable(adoption: Adoption): void {
    const { previous, exclusivity } = adoption;
    const { clock, sweep } = this.#options;
    if (previous) this.#cancelClients(adoption, previous);
    const delayMs = adoption.liveAt + EXCLUSIVE_DELAY_MS - clock.monotonic();
    if (delayMs > 0) this.#queryAfter(adoption, delayMs);
    else if (!exclusivity) this.#queryAfter(adoption, QUERY_INTERVAL_MS);
    else if (exclusivity.isExclusive) sweep.run(adoption.highestId, () => this.#sweepDone(adoption));
    else this.#leaveUndecided(adoption, exclusivity.reason);
  }

  #cancelClients(adoption: Adoption, previous: PreviousClients): void {
    const ids = previous.clients.map(({ id }) => id).filter((id) => !this.#options.isTaken(id));
    if (ids.length > 0) this.#options.cancel(ids);
    this.#clientsDecided(previous, { adopted: 0, cancelled: ids.length, gone: 0, proven: false });
    adoption.previous = undefined;
    this.#closeUnanswered(adoption, undefined);
  }

  #sweepDone(adoption: Adoption): void {
    adoption.orphans.giveUp();
    this.#options.requests.previousDecided();
    this.#finish();
  }

  /** Neither the control port nor the database shows which application a connection belongs to. */
  #leaveUndecided(adoption: Adoption, reason: string): void {
    const { requests, report, connections } = this.#options;
    const { previous, highest } = requests;
    // Without a client record streams may be lost, unless this process has received a request of every id so far.
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

  #clientsDecided(previous: PreviousClients, result: AdoptionResult, adopted?: ReadonlySet<StoredClient>): void {
    const { forget, decided, report } = this.#options;
    forget(previous.clients.filter((client) => !adopted?.has(client)));
    report.undecided(0);
    decided(result);
  }
}
