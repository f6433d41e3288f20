/** Plans which clients of the record are adopted and which are cancelled. connection-adoption.ts explains the proof. */
import type { PreviousClients, StoredClient } from "../delivery/client-store.js";
import type { NetRow } from "../protocol/control-protocol.js";

/** By how much a stamp of `status net` may be wrong: whole seconds, rounded down, and the time of the reply. */
const STAMP_ERROR_MS = 1500;

type AdoptionPlan =
  /** Number of clients that wait for a proof. */
  | { readonly kind: "waiting"; readonly clients: number }
  | {
      readonly kind: "decided";
      /** Whether Mongrel2 is the process that the clients of the record were connected to. */
      readonly proven: boolean;
      readonly adopt: readonly StoredClient[];
      readonly cancel: readonly number[];
      /** Number of clients that are not connected any more. */
      readonly gone: number;
    };

interface AdoptionPlanOptions {
  /** Mongrel2's table of connections. */
  readonly rows: readonly NetRow[];
  /** When it was asked for, monotonic milliseconds. */
  readonly askedAt: number;
  readonly isTaken: (id: number) => boolean;
  /** Connections with a request that may not have been answered: Mongrel2 may not have received the head of their stream. */
  readonly unanswered: ReadonlySet<number>;
  /** The control port's connection proves that Mongrel2 is the same process. */
  readonly isSameInstance: boolean;
  /** The plan does not wait for a proof any longer. */
  readonly isPastDeadline: boolean;
}

/** Pure: adopts only with proof, and only connections whose stream has begun. */
export function planAdoption(previous: PreviousClients, options: AdoptionPlanOptions): AdoptionPlan {
  const { rows, askedAt, isTaken, unanswered, isSameInstance, isPastDeadline } = options;
  const open = new Map(rows.map((row) => [row.id, row]));
  const connected = previous.clients.filter(({ id }) => open.has(id) && !isTaken(id));
  const proven = isSameInstance || rows.some((row) => readLongerAgo(row, askedAt - previous.aliveAt));
  if (connected.length > 0 && !proven && !isPastDeadline) return { kind: "waiting", clients: connected.length };
  const canAdopt = ({ id }: StoredClient) => proven && wasAnswered(open.get(id)) && !unanswered.has(id);
  const cancel = connected.filter((client) => !canAdopt(client)).map(({ id }) => id);
  const gone = previous.clients.length - connected.length;
  return { kind: "decided", proven, adopt: connected.filter(canAdopt), cancel, gone };
}

/** Whether Mongrel2 certainly last read from a connection more than `ms` ago. */
function readLongerAgo(row: NetRow, ms: number): boolean {
  return row.lastRead * 1000 - STAMP_ERROR_MS > ms;
}

/**
 * Whether the response to the last request may have been written. Where nothing was written, or nothing since that request, the response
 * was lost with the earlier process, and there is no stream to continue.
 */
function wasAnswered(row: NetRow | undefined): boolean {
  return row !== undefined && row.bytesWritten > 0 && row.lastRead >= row.lastWrite;
}
