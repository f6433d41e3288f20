/** Which clients of the record are served on, and which are cancelled: see connection-adoption.ts for what counts as a proof, and why. */
import type { PreviousClients, StoredClient } from "../delivery/ports.js";
import type { NetRow } from "../protocol/control-protocol.js";

/** Mongrel2's stamps are whole seconds, cut off; and the time the answer takes. Milliseconds. */
const INEXACT = 1500;

export interface AdoptionPlan {
  /** Mongrel2 is the one that the clients of the record were connected to. */
  readonly proven: boolean;
  readonly adopt: readonly StoredClient[];
  readonly cancel: readonly number[];
  /** Clients that are not connected any more. */
  readonly gone: number;
}

export interface AdoptionPlanOptions {
  /** Mongrel2's connections at this moment: Clock.monotonic(). */
  readonly rows: readonly NetRow[];
  readonly asked: number;
  readonly isTaken: (id: number) => boolean;
  /** Connections with a request that was not answered for certain: the head of a stream may never have been sent. */
  readonly unanswered: ReadonlySet<number>;
  /** It is known without a proof by time that Mongrel2 is the same process. */
  readonly isSame: boolean;
  /** No proof is waited for any more. */
  readonly isLate: boolean;
}

/** A number: so many clients wait for a proof. */
export function planAdoption(legacy: PreviousClients, options: AdoptionPlanOptions): AdoptionPlan | number {
  const { rows, asked, isTaken, unanswered, isSame, isLate } = options;
  const alive = new Map(rows.map((row) => [row.id, row]));
  const left = legacy.clients.filter(({ id }) => alive.has(id) && !isTaken(id));
  const proven = isSame || rows.some((row) => readLongerAgo(row, asked - legacy.aliveAt));
  if (left.length > 0 && !proven && !isLate) return left.length;
  const adopt = proven ? left.filter(({ id }) => wasAnswered(alive.get(id)) && !unanswered.has(id)) : [];
  const kept = new Set(adopt);
  const cancel = left.filter((client) => !kept.has(client)).map(({ id }) => id);
  return { proven, adopt, cancel, gone: legacy.clients.length - left.length };
}

/** Whether Mongrel2 has certainly last read from a connection more than `milliseconds` ago. */
function readLongerAgo(row: NetRow, milliseconds: number): boolean {
  return row.lastRead * 1000 - INEXACT > milliseconds;
}

/**
 * Whether the answer to its last request may have been written: where nothing was, or nothing since that request came, the answer was
 * lost with us, and there is no stream to go on with.
 */
function wasAnswered(row: NetRow | undefined): boolean {
  return row !== undefined && row.bytesWritten > 0 && row.lastRead >= row.lastWrite;
}
