/**
 * Fences: a proof that Mongrel2 has taken every frame sent before (docs/architecture/mongrel2.md 2.2). Mongrel2 answers a ctl keep-alive
 * to a connection id that cannot exist with a disconnect notice for that id, in order, on the PULL socket (0.13 ms at the median). Should
 * the id exist, a keep-alive does no harm. Ids lie between 2,000,000,001 and 2^31, above which Mongrel2 prints them negative.
 * Passing is cumulative: the notice of a later fence passes all earlier ones.
 *
 * Each process chooses a block of ids and stays in it, so a notice of another block belongs to another process
 * (second-daemon-detector.ts). The number of the block is the tenth of a second in which the process started, modulo 4096, and 6 random
 * bits. Two processes that start within three minutes of each other know which was first, and they have the same block once in 262,144
 * times (once in 64, where they start in the same tenth). A block has 562 ids. Four are pending as a rule, and four more for each second in
 * which Mongrel2 does not answer; an id that is used again while pending passes the same fences a moment later.
 */

const FIRST_FENCE_ID = 2_000_000_001;
const LAST_FENCE_ID = 2_147_483_646;
/** Tenths of a second in a cycle of block numbers: 6.8 minutes. */
const TENTH_COUNT = 4096;
/** Blocks of one tenth of a second. */
const RANDOM_BLOCK_COUNT = 64;
const BLOCK_COUNT = TENTH_COUNT * RANDOM_BLOCK_COUNT;
const BLOCK_ID_COUNT = Math.floor((LAST_FENCE_ID - FIRST_FENCE_ID + 1) / BLOCK_COUNT);
/** A connection that never exists: Mongrel2 discards what is sent to it. Its notice is ignored like that of a fence that is not pending. */
export const NULL_CONNECTION_ID = LAST_FENCE_ID + 1;

/** Whether a notice belongs to a fence, of any process, and not to a connection. */
export function isFence(id: number): boolean {
  return id >= FIRST_FENCE_ID;
}

const firstIdOf = (block: number): number => FIRST_FENCE_ID + block * BLOCK_ID_COUNT;
const blockOf = (id: number): number => Math.floor((id - FIRST_FENCE_ID) / BLOCK_ID_COUNT);

interface PendingFence {
  readonly id: number;
  readonly armedAt: number;
  readonly passed: (roundTripMs: number) => void;
}

export class Fences {
  readonly #block: number;
  #next: number;
  #pending: PendingFence[] = [];

  /** `startedAt`: when the process started, milliseconds since 1970; `random` returns a number from 0 up to 1. */
  constructor(startedAt: number, random: () => number) {
    this.#block =
      (Math.floor(startedAt / 100) % TENTH_COUNT) * RANDOM_BLOCK_COUNT + Math.floor(random() * RANDOM_BLOCK_COUNT);
    this.#next = firstIdOf(this.#block);
  }

  /** Whether the fence of this notice is of another process. */
  isForeign(id: number): boolean {
    return id !== NULL_CONNECTION_ID && blockOf(id) !== this.#block;
  }

  /** Whether that other process started after this one. Valid if the two started within three minutes of each other. */
  isYounger(id: number): boolean {
    return (blockOf(id) - this.#block + BLOCK_COUNT) % BLOCK_COUNT < BLOCK_COUNT / 2;
  }

  /** Returns the id to send a keep-alive to; calls `passed` with the round trip in milliseconds. */
  arm(now: number, passed: (roundTripMs: number) => void): number {
    const id = this.#next;
    this.#next = blockOf(id + 1) === this.#block ? id + 1 : firstIdOf(this.#block);
    this.#pending.push({ id, armedAt: now, passed });
    return id;
  }

  /** Passes this fence and all before it. Returns false if it is not pending: late, or of an earlier generation. */
  noticeReceived(id: number, now: number): boolean {
    const at = this.#pending.findIndex((fence) => fence.id === id);
    if (at < 0) return false;
    for (const fence of this.#pending.splice(0, at + 1)) fence.passed(now - fence.armedAt);
    return true;
  }

  /** Age of the oldest pending fence, milliseconds; 0 = none is pending. */
  oldestPendingMs(now: number): number {
    const [oldest] = this.#pending;
    return oldest ? now - oldest.armedAt : 0;
  }

  /** Drops all pending fences: they will never pass. */
  clear(): void {
    this.#pending = [];
  }
}
