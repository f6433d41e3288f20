/**
 * Disk space of an LMDB file, allocated before LMDB writes. LMDB must not be the first to find that the disk is full: where a
 * write of its own fails, lmdb-js 3.5 prints to standard error, into the middle of a JSON log, and writes its message past the
 * end of a buffer of 100 bytes (mdb_page_flush), after which glibc ends the process with SIGABRT. So a caller claims the pages
 * that its next transaction may need. They are written as zeros behind what LMDB uses: LMDB ignores them until it needs them.
 *
 * One byte at the end of the file is written again at each claim, as it is. That costs 3 us and finds a file-size limit that was
 * lowered and a file system that became read-only. What is left: a file system that refuses a write to a block which it has
 * given (copy on write: btrfs, ZFS), and a failing disk.
 */
import { closeSync, fstatSync, openSync, readSync, writeSync } from "node:fs";

const PAGE_BYTES = 4096;
/** Allocated in one write, and kept beyond what the next transaction needs: a full disk is to be noticed soon. */
const STEP_BYTES = 65_536;
const ZEROS = Buffer.alloc(STEP_BYTES);

export interface LmdbSpaceOptions {
  /** The data file, which LMDB has open. */
  readonly file: string;
  /** Number of the last page that LMDB uses. */
  readonly lastPage: () => number;
  /** LMDB itself lets the file grow no further; absent = without limit. */
  readonly maxBytes?: number | undefined;
}

export class LmdbSpace {
  readonly #options: LmdbSpaceOptions;
  readonly #file: number;
  readonly #byte = Buffer.alloc(1);
  /** Size of the file. */
  #end: number;
  /** LMDB uses no byte from here on; at most as much as was claimed too high. */
  #used = Number.POSITIVE_INFINITY;

  constructor(options: LmdbSpaceOptions) {
    this.#options = options;
    this.#file = openSync(options.file, "r+");
    this.#end = fstatSync(this.#file).size;
  }

  /** Makes sure that the next transaction can write this many new pages. Throws what the system says: ENOSPC, EDQUOT, EFBIG, EROFS, EIO. */
  claim(pages: number): void {
    const bytes = pages * PAGE_BYTES;
    if (this.#used + bytes + STEP_BYTES > this.#end) this.#allocate(bytes);
    this.#rewriteLastByte();
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

  close(): void {
    closeSync(this.#file);
  }

  /** Fails only where the pages themselves cannot be had: a full disk harms nobody while LMDB finds room in what it has. */
  #allocate(bytes: number): void {
    this.#used = (this.#options.lastPage() + 1) * PAGE_BYTES;
    const { maxBytes = Number.POSITIVE_INFINITY } = this.#options;
    const needed = Math.min(this.#used + bytes, maxBytes);
    const wanted = Math.min(needed + STEP_BYTES, maxBytes);
    try {
      while (this.#end < wanted) this.#grow();
    } catch (cause) {
      if (this.#end < needed) throw cause;
    }
  }

  /** A disk that is nearly full may take a part: then the next write says why. */
  #grow(): void {
    const length = STEP_BYTES - (this.#end % PAGE_BYTES);
    this.#end += writeSync(this.#file, ZEROS, 0, length, this.#end);
  }

  #rewriteLastByte(): void {
    if (this.#end === 0) return;
    readSync(this.#file, this.#byte, 0, 1, this.#end - 1);
    writeSync(this.#file, this.#byte, 0, 1, this.#end - 1);
  }
}
