/**
 * Orphans: connections that an earlier process, or an earlier generation of the link, may have left without a response or without events.
 * This class decides which of them are closed (docs/architecture/mongrel2.md 2.8).
 *
 *   ours       Requests that the earlier process read and did not answer: no other application will answer them. Closed once the
 *              clients are decided.
 *   exclusive  [[mongrel2]] database shows that no other application answers requests of this Mongrel2: closes every connection with an
 *              id that this process has not received a request of, if no byte has moved since the first look.
 *   unknown    The rest, which may belong to another application. Only two rules may close one, and only after `timeoutMs` without a
 *              byte moving on it: R4 for requests that were lost on their way to a killed process, S1 for streams whose record is missing.
 *
 * Unknown connections that wait for their timeout are stored in the request record: the next process continues with them.
 */
import type { PreviousClients } from "../delivery/client-store.js";
import type { Orphan, PreviousRequests, RequestRecord } from "../delivery/request-record.js";
import type { NetRow } from "../protocol/control-protocol.js";

/** The type of an HTTP connection in `status net` (docs/architecture/mongrel2.md 3). */
const HTTP_TYPE_CODE = 1;
/**
 * How long before the earlier process was last known to run a lost request may have been read: the step of Mongrel2's stamps
 * (limits.tick_timer, 10 s by default) and the event-loop lag of that process.
 */
const READ_STAMP_LAG_MS = 12_000;

interface OrphansOptions {
  readonly requests: RequestRecord;
  /** Whether this process has received a request of the connection, which may still be open. */
  readonly isTaken: (id: number) => boolean;
  readonly cancel: (ids: readonly number[]) => void;
  /** How long no byte may have moved on an unknown connection before it is closed, milliseconds; 0 = never. */
  readonly timeoutMs: number;
}

/** Facts for the first look. */
interface FirstLookContext extends Pick<PreviousClients, "aliveAt" | "isMissing"> {
  /** Ids that may still be adopted. */
  readonly undecided: ReadonlySet<number>;
}

export class Orphans {
  readonly #options: OrphansOptions;
  /** Connections that existed at the first look, and of which this process had not received a request. */
  readonly #firstRows = new Map<number, NetRow>();
  #candidates: Orphan[];
  readonly #previous: PreviousRequests | undefined;

  constructor(options: OrphansOptions) {
    this.#options = options;
    this.#previous = options.requests.previous;
    this.#candidates = [...options.requests.orphans];
  }

  /** Number of unknown connections that are undecided. */
  get count(): number {
    return this.#candidates.length;
  }

  /** When the next unknown connection can be decided, monotonic milliseconds; undefined = never, or there is none. */
  get nextDue(): number | undefined {
    const { timeoutMs } = this.#options;
    if (timeoutMs === 0 || this.#candidates.length === 0) return undefined;
    return (
      this.#candidates.reduce((least, { quietSince }) => Math.min(least, quietSince), Number.POSITIVE_INFINITY) +
      timeoutMs
    );
  }

  /** Records Mongrel2's connections right after the link became live. */
  firstLook(rows: readonly NetRow[], now: number, context: FirstLookContext): void {
    const known = new Map(this.#candidates.map((orphan) => [orphan.id, orphan]));
    const found: Orphan[] = [];
    for (const row of rows) {
      const { id, type, bytesRead, bytesWritten } = row;
      if (id <= 0 || type !== HTTP_TYPE_CODE || this.#options.isTaken(id)) continue;
      this.#firstRows.set(id, row);
      const orphan = known.get(id);
      const kind = context.undecided.has(id) ? undefined : orphanKind(row, now, this.#previous, context);
      if (orphan && isQuiet(row, orphan)) found.push(orphan);
      else if (kind) found.push({ id, kind, quietSince: now, bytesRead, bytesWritten });
    }
    this.#keep(found);
  }

  /** Cancels requests that the earlier process read and did not answer. `rows` undefined: cancels them without knowing which are open. */
  closeUnanswered(rows: readonly NetRow[] | undefined): number {
    const unanswered = this.#previous?.unanswered ?? new Set<number>();
    const open = rows ? rows.map(({ id }) => id).filter((id) => unanswered.has(id)) : [...unanswered];
    return this.#close(open);
  }

  /** Cancels every connection of the first look on which no byte has moved since. Returns their number. */
  closeExclusive(rows: readonly NetRow[]): number {
    const { cleanStop = false, kept = new Set<number>() } = this.#previous ?? {};
    // An orphan of an even earlier process is not idle: the clean stop of the last one does not cover a kill before it.
    const orphans = new Set(this.#candidates.map(({ id }) => id));
    const isIdle = (id: number) => cleanStop && kept.has(id) && !orphans.has(id);
    const unmoved = rows.filter((row) => {
      const first = this.#firstRows.get(row.id);
      return first && isQuiet(row, first) && !isIdle(row.id);
    });
    this.#keep([]);
    return this.#close(unmoved.map(({ id }) => id));
  }

  /** Cancels unknown connections after their timeout, and drops those on which a byte has moved. Returns the number cancelled. */
  review(rows: readonly NetRow[], now: number): number {
    const { timeoutMs, isTaken } = this.#options;
    const open = new Map(rows.map((row) => [row.id, row]));
    const quiet = this.#candidates.filter((orphan) => isQuiet(open.get(orphan.id), orphan) && !isTaken(orphan.id));
    const isDue = ({ quietSince }: Orphan) => timeoutMs > 0 && now - quietSince >= timeoutMs;
    const due = quiet.filter(isDue);
    const closed = this.#close(due.map(({ id }) => id));
    this.#keep(quiet.filter((orphan) => !isDue(orphan)));
    return closed;
  }

  /** Drops the unknown connections: nothing more can be learned of them. */
  giveUp(): void {
    this.#keep([]);
  }

  #close(ids: readonly number[]): number {
    const free = ids.filter((id) => !this.#options.isTaken(id));
    if (free.length > 0) this.#options.cancel(free);
    return free.length;
  }

  #keep(suspects: Orphan[]): void {
    const isSame =
      suspects.length === this.#candidates.length && suspects.every((it, at) => it === this.#candidates[at]);
    this.#candidates = suspects;
    if (!isSame) this.#options.requests.keepOrphans(suspects);
  }
}

/**
 * By which rule a connection may be an orphan: R4 = "request", S1 = "stream"; undefined = by none. The stamps of `status net` are
 * seconds ago, in steps of limits.tick_timer.
 */
export function orphanKind(
  row: NetRow,
  now: number,
  previous: PreviousRequests | undefined,
  { aliveAt, isMissing }: Pick<PreviousClients, "aliveAt" | "isMissing">,
): Orphan["kind"] | undefined {
  if (previous && !previous.cleanStop && isUnanswered(row)) {
    if (row.id > previous.highest) return "request";
    // A later request may have gone to another application: only one from around the end of the process can have been lost with it.
    if (previous.kept.has(row.id) && row.lastRead * 1000 <= now - aliveAt + READ_STAMP_LAG_MS) return "request";
  }
  return isMissing && isSilentStream(row) ? "stream" : undefined;
}

/** Nothing was written since its last request; within one step of the stamps that is possible, not certain. */
const isUnanswered = ({ bytesWritten, lastRead, lastWrite }: NetRow): boolean =>
  bytesWritten === 0 || lastRead <= lastWrite;

/** Something was written since its last request, or in the same step of the stamps. */
const isSilentStream = ({ bytesWritten, lastRead, lastWrite }: NetRow): boolean =>
  bytesWritten > 0 && lastRead >= lastWrite;

type Bytes = Pick<NetRow, "bytesRead" | "bytesWritten">;

const isQuiet = (row: Bytes | undefined, before: Bytes): boolean =>
  row !== undefined && row.bytesRead === before.bytesRead && row.bytesWritten === before.bytesWritten;
