/**
 * Disk space of an LMDB file, allocated before LMDB writes. LMDB must not be the first to find that the disk is full: where a
 * write of its own fails, lmdb-js 3.5 prints to standard error, into the middle of a JSON log, and writes its message past the
 * end of a buffer of 100 bytes (mdb_page_flush), after which glibc ends the process with SIGABRT. So a caller claims the pages
 * that its next transaction may need. They are written as zeros behind what LMDB uses: LMDB ignores them until it needs them.
 *
 * One byte at the end of the file is written again at each claim, as it is. That costs 3 us and finds a file-size limit that was
 * lowered, a file system that became read-only, and a file that was truncated. What is left: a file system that refuses a write to a block which it has
 * given (copy on write: btrfs, ZFS), and a failing disk.
 */
import { closeSync, fstatSync, openSync, readSync, writeSync } from "node:fs";

const PAGE_BYTES = 4096;
/** Allocated in one write, and kept at least beyond what the next transaction needs. Small, so that a full disk is noticed soon. */
const STEP_BYTES = 65_536;
const TRUNCATED = "the file was made shorter while it was in use";
const ZEROS = Buffer.alloc(STEP_BYTES);

export interface LmdbSpaceOptions {
  /** The data file, which LMDB has open. */
  readonly file: string;
  /** Number of the last page that LMDB uses. */
  readonly lastPage: () => number;
  /** LMDB itself lets the file grow no further; absent = without limit. */
  readonly maxBytes?: number | undefined;
}

/** Number of the last page that an open LMDB file uses. lmdb-js's own getStats() looks at the trees as well: 6 us instead of 1.3. */
export function lastPageOf(root: { getStats(): object; env?: { info?(): object } }): number {
  const info = root.env?.info?.() ?? root.getStats();
  return (info as { readonly lastPageNumber: number }).lastPageNumber;
}

export class LmdbSpace {
  readonly #options: LmdbSpaceOptions;
  readonly #file: number;
  readonly #lastByte = Buffer.alloc(1);
  #broken: Error | undefined;
  /** Size of the file. */
  #end: number;
  /** LMDB uses no byte from here on; at most as much as was claimed too high. */
  #used = Number.POSITIVE_INFINITY;

  constructor(options: LmdbSpaceOptions) {
    this.#options = options;
    this.#file = openSync(options.file, "r+");
    this.#end = fstatSync(this.#file).size;
  }

  /**
   * Makes sure that the next transaction can write this many new pages. Throws what the system says (ENOSPC, EDQUOT, EFBIG, EROFS,
   * EIO), and "ETRUNCATED".
   */
  claim(pages: number): void {
    this.check();
    const bytes = pages * PAGE_BYTES;
    if (this.#used + bytes + STEP_BYTES > this.#end) this.#allocate(bytes);
    writeSync(this.#file, this.#lastByte, 0, 1, this.#end - 1);
    this.#used += bytes;
  }

  /** Whether a claim of this many pages would succeed. */
  has(pages: number): boolean {
    try {
      this.claim(pages);
      return true;
    } catch {
      return false; // the claim that is made in its place says why
    }
  }

  /**
   * Looks whether the file is as long as it was. Throws "ETRUNCATED" where it is not: then LMDB must not look at it any more, or the
   * kernel ends the process (SIGBUS).
   */
  check(): void {
    this.assertWhole();
    if (readSync(this.#file, this.#lastByte, 0, 1, this.#end - 1) === 1) return;
    this.#broken = Object.assign(new Error(TRUNCATED), { code: "ETRUNCATED" });
    throw this.#broken;
  }

  /** Throws what check() has thrown. Costs nothing. */
  assertWhole(): void {
    if (this.#broken) throw this.#broken;
  }

  close(): void {
    closeSync(this.#file);
  }

  /** Fails only where the pages themselves cannot be had: a full disk harms nobody while LMDB finds room in what it has. */
  #allocate(bytes: number): void {
    this.#used = (this.#options.lastPage() + 1) * PAGE_BYTES;
    const { maxBytes = Number.POSITIVE_INFINITY } = this.#options;
    const needed = Math.min(this.#used + bytes, maxBytes);
    if (this.#end >= Math.min(needed + STEP_BYTES, maxBytes)) return;
    const wanted = Math.min(needed + 2 * STEP_BYTES, maxBytes);
    try {
      while (this.#end < wanted) this.#grow(wanted - this.#end);
    } catch (cause) {
      if (this.#end < needed) throw cause;
    }
  }

  /** A disk that is nearly full may take a part: then the next write says why. */
  #grow(bytes: number): void {
    this.#end += writeSync(this.#file, ZEROS, 0, Math.min(bytes, STEP_BYTES), this.#end);
    this.#lastByte[0] = 0;
  }
}
