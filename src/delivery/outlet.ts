/** The port through which delivery writes to the browsers of one Mongrel2; mongrel2/mongrel2-link.ts implements it. */

/**
 * A prepared list of 1..maxTargets connections of one Mongrel2, in the form that the outlet writes. Opaque: its holder only keeps it and
 * hands it back to the outlet that made it.
 */
export type Address = Buffer & { readonly __address?: never };

/**
 * Frames leave in the order of the calls, over one socket. No call blocks, throws or reports a failure: only `fence` tells what Mongrel2
 * has taken. The outlet owns each buffer from the call on, and the caller must not change it.
 */
export interface Outlet {
  /** Mongrel2's limits.handler_targets: the largest number of connections in one address. */
  readonly maxTargets: number;
  /** Makes the address of 1..maxTargets connections. */
  address(ids: readonly number[]): Address;
  /** Sends raw bytes to each connection of the address. The body must not be empty: an empty one closes (see close()). */
  deliver(address: Address, body: Buffer): void;
  /** Announces a flush: its size in bytes, summed over all live clients. Clients that catch up add little to it. */
  prepare(bytes: number): void;
  /**
   * Sends the first bytes of a stream. The outlet may join equal openings of one moment and send them a few milliseconds later, but
   * never after another frame for the same connection.
   */
  open(id: number, body: Buffer): void;
  /** Closes connections gracefully: Mongrel2 writes what is queued for them first. */
  close(ids: readonly number[]): void;
  /** Closes connections at once and drops what is queued. Only this ends a connection that does not read. */
  cancel(ids: readonly number[]): void;
  /** Resets Mongrel2's idle timer of each connection without writing to it; Mongrel2 sends a notice for each dead id. */
  keepAlive(ids: readonly number[]): void;
  /**
   * Calls `passed` once Mongrel2 has taken every frame of earlier calls. Fences pass in order. A fence that is pending when the link is
   * lost never passes: ServerDelivery.reset() is called instead. `isFlush` (default true): the fence follows publications, and its round
   * trip is measured as their time to Mongrel2.
   */
  fence(passed: () => void, isFlush?: boolean): void;
}
