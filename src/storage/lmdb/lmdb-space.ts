/**
 * Disk space of an LMDB file, allocated before LMDB writes. LMDB must not be the first to find that the disk is full: where a
 * write of its own fails, lmdb-js 3.5 prints to standard error, into a JSON log, and writes its message past the end of a buffer
 * of 100 bytes (mdb_page_flush), after which glibc ends the process with SIGABRT. So a caller claims the pages that its next
 * transaction may need. They are written as zeros behind the pages that LMDB uses, which LMDB ignores until it needs them.
 *
 * Each claim rewrites the last byte of the file. That costs 3 us and detects a lowered file-size limit, a file system that became
 * read-only, and a truncated file. Not detected: a file system that refuses a write to an allocated block (copy on write: btrfs,
 * ZFS), and a failing disk.
 */
import { closeSync, fstatSync, openSync, readSync, writeSync } from "node:fs";

const PAGE_BYTES = 4096;
/** Bytes of one write, and the reserve behind the next transaction. Small, so that a full disk is noticed soon. */
const ALLOCATION_STEP_BYTES = 65_536;
const TRUNCATION_MESSAGE = "the file was made shorter while it was in use";
const ZEROS = Buffer.alloc(ALLOCATION_STEP_BYTES);

export interface LmdbSpaceOptions {
  /** The data file, which LMDB has open. */
  readonly file: string;
  /** Number of the last page that LMDB uses. */
  readonly lastPage: () => number;
  /** LMDB's own limit of the file (map size); absent = none. */
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
  /** LMDB uses no byte from here on; too high by the pages that were claimed and not used. */
  #usedBytes = Number.POSITIVE_INFINITY;

  constructor(options: LmdbSpaceOptions) {
    this.#options = options;
    this.#descriptor = openSync(options.file, "r+");
    this.#fileBytes = fstatSync(this.#descriptor).size;
  }

  /**
   * Makes sure that the next transaction can write this many new pages. Throws system errors (ENOSPC, EDQUOT, EFBIG, EROFS, EIO), and
   * "ETRUNCATED".
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
      return false; // the caller's smaller claim reports the error
    }
  }

  /**
   * Checks that the file has not become shorter. Throws "ETRUNCATED" if it has: LMDB must not read it any more, or the kernel ends the
   * process (SIGBUS).
   */
  checkLength(): void {
    this.assertNotTruncated();
    if (readSync(this.#descriptor, this.#lastByte, 0, 1, this.#fileBytes - 1) === 1) return;
    this.#truncation = Object.assign(new Error(TRUNCATION_MESSAGE), { code: "ETRUNCATED" });
    throw this.#truncation;
  }

  /** Whether checkLength() has thrown: LMDB must not read the file. */
  get isTruncated(): boolean {
    return this.#truncation !== undefined;
  }

  /** Throws the error of checkLength() again, without a system call. */
  assertNotTruncated(): void {
    if (this.#truncation) throw this.#truncation;
  }

  /** Number of the last page that LMDB uses, which it reads from the file: throws "ETRUNCATED" as checkLength() does. */
  lastPage(): number {
    this.checkLength();
    return this.#options.lastPage();
  }

  close(): void {
    closeSync(this.#descriptor);
  }

  /** Fails only when the needed pages cannot be allocated: a full disk does no harm while the file has free pages. */
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

  /** A nearly full disk may write a part: the next write reports the error. */
  #grow(bytes: number): void {
    this.#fileBytes += writeSync(this.#descriptor, ZEROS, 0, Math.min(bytes, ALLOCATION_STEP_BYTES), this.#fileBytes);
    this.#lastByte[0] = 0;
  }
}
