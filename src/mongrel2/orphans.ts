/**
 * Connections that an earlier process, or an earlier link, may have left without an answer or without events, and which of them are
 * closed. Three classes.
 *
 *   ours       requests that the earlier process had read and not answered: nobody else will answer them. Closed as soon as it is
 *              decided who is adopted.
 *   exclusive  [[mongrel2]] database shows that nobody else answers requests of this Mongrel2: every connection with an id that we
 *              have not heard of since we are live, and on which nothing has moved since the first look, is closed.
 *   unknown    the rest. Nobody can tell whose a connection is, so only two rules may close one, and only after `timeoutMs` without
 *              a byte moving on it: R4 for requests that were lost on their way to a process that was killed, S1 for streams whose
 *              record is missing. See docs/mongrel2.md for what they find and what they miss.
 *
 * Unknown connections that wait for their time-out are the orphans of the request record: the next process goes on with them.
 */
import type { PreviousClients } from "../delivery/client-store.js";
import type { Orphan, PreviousRequests, RequestRecord } from "../delivery/request-record.js";
import type { NetRow } from "../protocol/control-protocol.js";

/** The type of an HTTP connection in `status net`. */
const HTTP_TYPE_CODE = 1;
/**
 * How much earlier than the last sign of life of the dead process a lost request may have been read: the step of Mongrel2's clock
 * (limits.tick_timer, 10 s by default) and the lag of the process.
 */
const READ_STAMP_LAG_MS = 12_000;

export interface OrphansOptions {
  readonly requests: RequestRecord;
  /** Whether this process has heard of the connection, and it may be open. */
  readonly isTaken: (id: number) => boolean;
  readonly cancel: (ids: readonly number[]) => void;
  /** How long no byte must have moved on an unknown connection before it is closed; 0 = never. */
  readonly timeoutMs: number;
}

/** What the first look goes by. */
export interface FirstLookContext extends Pick<PreviousClients, "aliveAt" | "isMissing"> {
  /** Ids that may yet be adopted. */
  readonly undecided: ReadonlySet<number>;
}

export class Orphans {
  readonly #options: OrphansOptions;
  /** Connections that were there at the first look, and that we had not heard of. */
  readonly #firstRows = new Map<number, NetRow>();
  #candidates: Orphan[];
  readonly #previous: PreviousRequests | undefined;

  constructor(options: OrphansOptions) {
    this.#options = options;
    this.#previous = options.requests.previous;
    this.#candidates = [...options.requests.orphans];
  }

  /** Unknown connections that are not decided about. */
  get count(): number {
    return this.#candidates.length;
  }

  /** When the next unknown connection can be decided about, Clock.monotonic(); undefined = never, or there is none. */
  get nextDue(): number | undefined {
    const { timeoutMs } = this.#options;
    if (timeoutMs === 0 || this.#candidates.length === 0) return undefined;
    return (
      this.#candidates.reduce((least, { quietSince }) => Math.min(least, quietSince), Number.POSITIVE_INFINITY) +
      timeoutMs
    );
  }

  /** The first look after the link became live. */
  firstLook(rows: readonly NetRow[], now: number, circumstances: FirstLookContext): void {
    const known = new Map(this.#candidates.map((orphan) => [orphan.id, orphan]));
    const found: Orphan[] = [];
    for (const row of rows) {
      const { id, type, bytesRead, bytesWritten } = row;
      if (id <= 0 || type !== HTTP_TYPE_CODE || this.#options.isTaken(id)) continue;
      this.#firstRows.set(id, row);
      const orphan = known.get(id);
      const kind = circumstances.undecided.has(id) ? undefined : orphanKind(row, now, this.#previous, circumstances);
      if (orphan && isQuiet(row, orphan)) found.push(orphan);
      else if (kind) found.push({ id, kind, quietSince: now, bytesRead, bytesWritten });
    }
    this.#keep(found);
  }

  /** Closes what the earlier process had read and not answered. `rows` undefined: nobody can say which of them are open. */
  closeUnanswered(rows: readonly NetRow[] | undefined): number {
    const unanswered = this.#previous?.unanswered ?? new Set<number>();
    const open = rows ? rows.map(({ id }) => id).filter((id) => unanswered.has(id)) : [...unanswered];
    return this.#close(open);
  }

  /** Every connection that was there at the first look is ours, and nobody will ever answer those that are as they were. */
  closeExclusive(rows: readonly NetRow[]): number {
    const { cleanStop = false, kept = new Set<number>() } = this.#previous ?? {};
    // An orphan of a process before that one is not idle: its clean stop says nothing of what a kill before it has lost.
    const orphans = new Set(this.#candidates.map(({ id }) => id));
    const isIdle = (id: number) => cleanStop && kept.has(id) && !orphans.has(id);
    const left = rows.filter((row) => {
      const first = this.#firstRows.get(row.id);
      return first && isQuiet(row, first) && !isIdle(row.id);
    });
    this.#keep([]);
    return this.#close(left.map(({ id }) => id));
  }

  /** Closes unknown connections whose time is over; those on which something has moved belong to somebody. */
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

  /** Nobody can say more of unknown connections: they are not looked at again. */
  giveUp(): void {
    this.#keep([]);
  }

  #close(ids: readonly number[]): number {
    const left = ids.filter((id) => !this.#options.isTaken(id));
    if (left.length > 0) this.#options.cancel(left);
    return left.length;
  }

  #keep(suspects: Orphan[]): void {
    const isSame =
      suspects.length === this.#candidates.length && suspects.every((it, at) => it === this.#candidates[at]);
    this.#candidates = suspects;
    if (!isSame) this.#options.requests.keepOrphans(suspects);
  }
}

/** By which rule a connection may be an orphan; undefined = by none. Numbers of `status net` are seconds ago, in steps. */
export function orphanKind(
  row: NetRow,
  now: number,
  previous: PreviousRequests | undefined,
  { aliveAt, isMissing }: Pick<PreviousClients, "aliveAt" | "isMissing">,
): Orphan["kind"] | undefined {
  if (previous && !previous.cleanStop && isUnanswered(row)) {
    if (row.id > previous.highest) return "request";
    // Its next request may have been another application's: only one that came around the death can have been lost with us.
    if (previous.kept.has(row.id) && row.lastRead * 1000 <= now - aliveAt + READ_STAMP_LAG_MS) return "request";
  }
  return isMissing && isSilentStream(row) ? "stream" : undefined;
}

/** Nothing was written since its last request came; within one step of the clock that is possible, not certain. */
const isUnanswered = ({ bytesWritten, lastRead, lastWrite }: NetRow): boolean =>
  bytesWritten === 0 || lastRead <= lastWrite;

/** Something was written since its last request came, or at the same step of the clock. */
const isSilentStream = ({ bytesWritten, lastRead, lastWrite }: NetRow): boolean =>
  bytesWritten > 0 && lastRead >= lastWrite;

type Bytes = Pick<NetRow, "bytesRead" | "bytesWritten">;

const isQuiet = (row: Bytes | undefined, before: Bytes): boolean =>
  row !== undefined && row.bytesRead === before.bytesRead && row.bytesWritten === before.bytesWritten;
