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
const ALLOCATION_STEP_BYTES = 65_536;
const TRUNCATION_MESSAGE = "the file was made shorter while it was in use";
const ZEROS = Buffer.alloc(ALLOCATION_STEP_BYTES);

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
  readonly #descriptor: number;
  readonly #lastByte = Buffer.alloc(1);
  #truncation: Error | undefined;
  /** Size of the file. */
  #fileBytes: number;
  /** LMDB uses no byte from here on; at most as much as was claimed too high. */
  #usedBytes = Number.POSITIVE_INFINITY;

  constructor(options: LmdbSpaceOptions) {
    this.#options = options;
    this.#descriptor = openSync(options.file, "r+");
    this.#fileBytes = fstatSync(this.#descriptor).size;
  }

  /**
   * Makes sure that the next transaction can write this many new pages. Throws what the system says (ENOSPC, EDQUOT, EFBIG, EROFS,
   * EIO), and "ETRUNCATED".
   */
  claim(pages: number): void {
    this.checkLength();
    const bytes = pages * PAGE_BYTES;
    if (this.#usedBytes + bytes + ALLOCATION_STEP_BYTES > this.#fileBytes) this.#allocate(bytes);
    writeSync(this.#descriptor, this.#lastByte, 0, 1, this.#fileBytes - 1);
    this.#usedBytes += bytes;
  }

  /** Whether a claim of this many pages would succeed. */
  canClaim(pages: number): boolean {
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
  checkLength(): void {
    this.assertNotTruncated();
    if (readSync(this.#descriptor, this.#lastByte, 0, 1, this.#fileBytes - 1) === 1) return;
    this.#truncation = Object.assign(new Error(TRUNCATION_MESSAGE), { code: "ETRUNCATED" });
    throw this.#truncation;
  }

  /** Throws what check() has thrown. Costs nothing. */
  assertNotTruncated(): void {
    if (this.#truncation) throw this.#truncation;
  }

  close(): void {
    closeSync(this.#descriptor);
  }

  /** Fails only where the pages themselves cannot be had: a full disk harms nobody while LMDB finds room in what it has. */
  #allocate(bytes: number): void {
    this.#usedBytes = (this.#options.lastPage() + 1) * PAGE_BYTES;
    const { maxBytes = Number.POSITIVE_INFINITY } = this.#options;
    const needed = Math.min(this.#usedBytes + bytes, maxBytes);
    if (this.#fileBytes >= Math.min(needed + ALLOCATION_STEP_BYTES, maxBytes)) return;
    const target = Math.min(needed + 2 * ALLOCATION_STEP_BYTES, maxBytes);
    try {
      while (this.#fileBytes < target) this.#grow(target - this.#fileBytes);
    } catch (cause) {
      if (this.#fileBytes < needed) throw cause;
    }
  }

  /** A disk that is nearly full may take a part: then the next write says why. */
  #grow(bytes: number): void {
    this.#fileBytes += writeSync(this.#descriptor, ZEROS, 0, Math.min(bytes, ALLOCATION_STEP_BYTES), this.#fileBytes);
    this.#lastByte[0] = 0;
  }
}
