/**
 * Takes ZMTP frames out of a byte stream that comes in pieces of any size. Of an unfinished frame it keeps a copy of its own, which
 * grows with what has come and never with what was announced: a small rest must not hold the 64 kB that were read with it, and a
 * frame that comes byte by byte must not cost an object for each.
 */
import { ProtocolError } from "../errors.js";
import { FLAG_COMMAND, FLAG_LONG, FLAG_MORE, MAX_COMMAND_BYTES } from "./zmtp.js";

/** The first copy of an unfinished frame; it doubles when it is full. */
const FIRST_COPY_BYTES = 4096;
/** What a Buffer takes beside its bytes. */
const BUFFER_OVERHEAD_BYTES = 400;
const EMPTY = Buffer.alloc(0);

export interface Frame {
  readonly isCommand: boolean;
  /** Another frame of the same message follows. */
  readonly more: boolean;
  /** Shares the memory of what was read. */
  readonly body: Buffer;
  /** The frame was larger than `limit`: the body is its beginning. */
  readonly isTruncated: boolean;
}

export class FrameReader {
  /** Bytes that a frame of a message may have; may be changed between two frames. Negative: no message may come. */
  maxBodyBytes: number;
  readonly #truncateToBytes: number | undefined;
  #piece: Buffer = EMPTY;
  #at = 0;
  /** The beginning of an unfinished frame: the first #copied bytes. */
  #copy: Buffer = EMPTY;
  #copiedBytes = 0;
  /** Bytes of a truncated frame that are still to come. */
  #skipBytes = 0;

  /** `truncateTo`: of a larger frame so many bytes are handed on and the others skipped; absent: it throws "too_large". */
  constructor(maxBodyBytes = Number.POSITIVE_INFINITY, truncateTo?: number) {
    this.maxBodyBytes = maxBodyBytes;
    this.#truncateToBytes = truncateTo;
  }

  /** Bytes of memory that an unfinished frame takes. */
  get heldBytes(): number {
    return this.#copiedBytes > 0 ? this.#copy.length + BUFFER_OVERHEAD_BYTES : 0;
  }

  /** Forgets what it holds; nothing is fed to it after that. */
  clear(): void {
    this.#copy = EMPTY;
    this.#copiedBytes = 0;
    this.#releasePiece();
  }

  /** Takes the next piece. The last one must have been used up: next() has returned undefined. */
  feed(piece: Buffer): void {
    this.#piece = piece;
    this.#at = 0;
  }

  /**
   * The next frame; undefined when the rest of the piece is none. Throws "too_large" at a frame that is too large as soon as
   * its size is there, and "invalid" at flags that no frame has, and at a message where none may come.
   */
  next(): Frame | undefined {
    if (this.#skipBytes > 0) this.#skipTruncated();
    if (this.#copiedBytes > 0) return this.#complete();
    const [piece, at] = [this.#piece, this.#at];
    if (at === piece.length) return this.#releasePiece();
    const end = this.#frameEnd(piece, at, piece.length);
    if (end > piece.length) {
      this.#append(end - at);
      return this.#releasePiece();
    }
    this.#at = end;
    return this.#frame(piece, at, end);
  }

  /** The frame whose beginning is in the copy; undefined while its end is not there. */
  #complete(): Frame | undefined {
    let [known, end] = [0, 0];
    do {
      known = end;
      end = this.#frameEnd(this.#copy, 0, this.#copiedBytes);
      this.#append(end);
      if (this.#copiedBytes < end) return this.#releasePiece();
    } while (end !== known);
    const copy = this.#copy;
    this.#copy = EMPTY;
    this.#copiedBytes = 0;
    return this.#frame(copy, 0, end);
  }

  /** Copies what the piece has of a frame of `end` bytes. */
  #append(end: number): void {
    const bytes = Math.min(end - this.#copiedBytes, this.#piece.length - this.#at);
    const needed = this.#copiedBytes + bytes;
    if (needed > this.#copy.length) {
      // Slow: a slice of the pool would hold the other 8 kB of it.
      const larger = Buffer.allocUnsafeSlow(Math.min(end, Math.max(FIRST_COPY_BYTES, 2 * needed)));
      this.#copy.copy(larger, 0, 0, this.#copiedBytes);
      this.#copy = larger;
    }
    this.#piece.copy(this.#copy, this.#copiedBytes, this.#at, this.#at + bytes);
    this.#copiedBytes = needed;
    this.#at += bytes;
  }

  /** The piece is used up. */
  #releasePiece(): undefined {
    this.#piece = EMPTY;
    this.#at = 0;
  }

  #skipTruncated(): void {
    const bytes = Math.min(this.#skipBytes, this.#piece.length - this.#at);
    this.#skipBytes -= bytes;
    this.#at += bytes;
  }

  #frame(bytes: Buffer, at: number, end: number): Frame {
    const flags = bytes[at] ?? 0;
    const isLong = (flags & FLAG_LONG) !== 0;
    const body = bytes.subarray(at + (isLong ? 9 : 2), end);
    if (isLong && this.#truncateToBytes !== undefined) this.#skipBytes = readSize(bytes, at + 1) - body.length;
    return {
      isCommand: (flags & FLAG_COMMAND) !== 0,
      more: (flags & FLAG_MORE) !== 0,
      body,
      isTruncated: this.#skipBytes > 0,
    };
  }

  /** Where the frame that begins here ends; or, while its size is not there, how far the size goes. */
  #frameEnd(bytes: Buffer, at: number, to: number): number {
    const flags = bytes[at] ?? 0;
    // Five bits are reserved, and a command has no second frame.
    if (flags > (FLAG_COMMAND | FLAG_LONG) || flags === (FLAG_COMMAND | FLAG_MORE)) throw wrongFlags(flags);
    const isLong = (flags & FLAG_LONG) !== 0;
    const body = at + (isLong ? 9 : 2);
    if (body > to) return body;
    const size = isLong ? readSize(bytes, at + 1) : (bytes[at + 1] ?? 0);
    const maxBodyBytes = flags >= FLAG_COMMAND ? MAX_COMMAND_BYTES : this.maxBodyBytes;
    if (size <= maxBodyBytes) return body + size;
    if (maxBodyBytes < 0) throw new ProtocolError("invalid", "the peer sends messages before it has said what it is");
    if (this.#truncateToBytes === undefined || flags >= FLAG_COMMAND) throw tooLarge(size, maxBodyBytes);
    return body + Math.min(size, this.#truncateToBytes);
  }
}

/** Eight bytes; numbers above 2^53 lose what no limit is so exact as to need. (85 ns in the first 10,000; through a BigInt 200.) */
function readSize(bytes: Buffer, at: number): number {
  return bytes.readUInt32BE(at) * 2 ** 32 + bytes.readUInt32BE(at + 4);
}

function tooLarge(size: number, limit: number): ProtocolError {
  return new ProtocolError("too_large", `a frame of ${size} bytes, at most ${limit} are taken`);
}

function wrongFlags(flags: number): ProtocolError {
  const hex = flags.toString(16).padStart(2, "0");
  return new ProtocolError("invalid", `the peer sent a frame with the flags 0x${hex}, which ZMTP 3 does not have`);
}
