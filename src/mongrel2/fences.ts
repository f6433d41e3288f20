/**
 * Fences: proof, free of charge, that Mongrel2 has taken everything sent before. A ctl keep-alive to a connection id that
 * cannot exist is answered with a disconnect notice for that id, in order, on our PULL socket (0.13 ms in the median). As a
 * keep-alive it would be harmless should the id exist. Ids lie between 2,000,000,001 and 2^31, above which Mongrel2 prints them
 * negative. Passing is cumulative: an answer to a later fence passes all earlier ones.
 *
 * Each process draws a block of ids and stays in it: a notice of another block was asked for by another process (contention.ts). The
 * number of the block is the tenth of a second in which the process began, of 4096, and 6 bits by chance: so of two that began within
 * three minutes of each other both know which was first, and two have the same block once in 262,144 times (in 64, where they
 * began in the same tenth). That leaves 562 ids a block, of which four are under way as a rule, and four more for each second in which Mongrel2
 * does not answer; one that is used again before its notice has come passes the same fences a moment later.
 */

const FIRST_FENCE_ID = 2_000_000_001;
const LAST_FENCE_ID = 2_147_483_646;
const TENTH_COUNT = 4096;
const RANDOM_BLOCK_COUNT = 64;
const BLOCK_COUNT = TENTH_COUNT * RANDOM_BLOCK_COUNT;
const BLOCK_ID_COUNT = Math.floor((LAST_FENCE_ID - FIRST_FENCE_ID + 1) / BLOCK_COUNT);
/** A connection that never is: Mongrel2 takes what is sent to it, and its notice is passed over like one of a fence that is not pending. */
export const NULL_CONNECTION_ID = LAST_FENCE_ID + 1;

/** Whether a notice is for a fence and not for a connection. */
export function isFence(id: number): boolean {
  return id >= FIRST_FENCE_ID;
}

const firstIdOf = (block: number): number => FIRST_FENCE_ID + block * BLOCK_ID_COUNT;
const blockOf = (id: number): number => Math.floor((id - FIRST_FENCE_ID) / BLOCK_ID_COUNT);

interface PendingFence {
  readonly id: number;
  readonly armedAt: number;
  readonly passed: (took: number) => void;
}

export class Fences {
  readonly #block: number;
  #next: number;
  #pending: PendingFence[] = [];

  /** `startedAt`: when the process began, milliseconds since 1970; `random`: a number from 0 up to 1. */
  constructor(startedAt: number, random: () => number) {
    this.#block =
      (Math.floor(startedAt / 100) % TENTH_COUNT) * RANDOM_BLOCK_COUNT + Math.floor(random() * RANDOM_BLOCK_COUNT);
    this.#next = firstIdOf(this.#block);
  }

  /** Whether another process asked for this notice. */
  isForeign(id: number): boolean {
    return id !== NULL_CONNECTION_ID && blockOf(id) !== this.#block;
  }

  /** Whether the process that asked for this notice began after us, where the two began within three minutes. */
  isYounger(id: number): boolean {
    return (blockOf(id) - this.#block + BLOCK_COUNT) % BLOCK_COUNT < BLOCK_COUNT / 2;
  }

  /** The id to send to; `passed` is called with the round trip in milliseconds. */
  arm(now: number, passed: (took: number) => void): number {
    const id = this.#next;
    this.#next = blockOf(id + 1) === this.#block ? id + 1 : firstIdOf(this.#block);
    this.#pending.push({ id, armedAt: now, passed });
    return id;
  }

  /** An answer came. False when it is for a fence that is not pending: late, or of an earlier life. */
  noticeReceived(id: number, now: number): boolean {
    const at = this.#pending.findIndex((fence) => fence.id === id);
    if (at < 0) return false;
    for (const fence of this.#pending.splice(0, at + 1)) fence.passed(now - fence.armedAt);
    return true;
  }

  /** How long the oldest pending fence has waited, milliseconds; 0 when none is pending. */
  oldestPendingMs(now: number): number {
    const [oldest] = this.#pending;
    return oldest ? now - oldest.armedAt : 0;
  }

  /** Forgets all pending fences: they will never pass. */
  clear(): void {
    this.#pending = [];
  }
}
