/**
 * Reads ZMTP frames from a byte stream that arrives in chunks of any size. It copies an unfinished frame into a buffer that grows
 * with the bytes received, never with the size announced: a small remainder must not retain the 64 kB of its read, and a frame that
 * arrives byte by byte must not cost an object for each.
 */
import { ProtocolError } from "../errors.js";
import { FLAG_COMMAND, FLAG_LONG, FLAG_MORE, MAX_COMMAND_BYTES } from "./zmtp.js";

/** Initial size of the copy of an unfinished frame; it doubles when full. */
const FIRST_COPY_BYTES = 4096;
/** Memory of a Buffer object in addition to its bytes. */
const BUFFER_OVERHEAD_BYTES = 400;
const EMPTY = Buffer.alloc(0);

export interface Frame {
  readonly isCommand: boolean;
  /** Another frame of the same message follows. */
  readonly more: boolean;
  /** Shares the memory of the chunk. */
  readonly body: Buffer;
  /** The frame was larger than `maxBodyBytes`: the body is its beginning. */
  readonly isTruncated: boolean;
}

export class FrameReader {
  /** Limit for the body of a message frame; may be changed between two frames. Negative = message frames are not allowed yet. */
  maxBodyBytes: number;
  readonly #truncateToBytes: number | undefined;
  #chunk: Buffer = EMPTY;
  #at = 0;
  /** The beginning of an unfinished frame: the first #copied bytes. */
  #copy: Buffer = EMPTY;
  #copiedBytes = 0;
  /** Bytes of a truncated frame that are still to come. */
  #skipBytes = 0;

  /** `truncateToBytes`: a larger frame is truncated to this number of bytes; absent = next() throws "too_large". */
  constructor(maxBodyBytes = Number.POSITIVE_INFINITY, truncateToBytes?: number) {
    this.maxBodyBytes = maxBodyBytes;
    this.#truncateToBytes = truncateToBytes;
  }

  /** Bytes of memory of the unfinished frame. */
  get heldBytes(): number {
    return this.#copiedBytes > 0 ? this.#copy.length + BUFFER_OVERHEAD_BYTES : 0;
  }

  /** Whether no byte of the last chunk is left behind the last frame. */
  get isAtEnd(): boolean {
    return this.#at === this.#chunk.length;
  }

  /** Frees all memory. feed() must not be called afterwards. */
  clear(): void {
    this.#copy = EMPTY;
    this.#copiedBytes = 0;
    this.#releaseChunk();
  }

  /** Adds the next chunk. The last one must be used up: next() has returned undefined. */
  feed(chunk: Buffer): void {
    this.#chunk = chunk;
    this.#at = 0;
  }

  /**
   * Returns the next frame; undefined when the chunk has no further complete frame. Throws "too_large" as soon as the
   * size of a frame above the limit is known, and "invalid" at undefined flags and at a message frame that is not allowed yet.
   */
  next(): Frame | undefined {
    if (this.#skipBytes > 0) this.#skipTruncated();
    if (this.#copiedBytes > 0) return this.#complete();
    const [chunk, at] = [this.#chunk, this.#at];
    if (at === chunk.length) return this.#releaseChunk();
    const end = this.#frameEnd(chunk, at, chunk.length);
    if (end > chunk.length) {
      this.#append(end - at);
      return this.#releaseChunk();
    }
    this.#at = end;
    return this.#frame(chunk, at, end);
  }

  /** Returns the frame whose beginning is in the copy; undefined until its end has arrived. */
  #complete(): Frame | undefined {
    let [known, end] = [0, 0];
    do {
      known = end;
      end = this.#frameEnd(this.#copy, 0, this.#copiedBytes);
      this.#append(end);
      if (this.#copiedBytes < end) return this.#releaseChunk();
    } while (end !== known);
    const copy = this.#copy;
    this.#copy = EMPTY;
    this.#copiedBytes = 0;
    return this.#frame(copy, 0, end);
  }

  /** Copies the chunk's bytes of a frame of `end` bytes. */
  #append(end: number): void {
    const bytes = Math.min(end - this.#copiedBytes, this.#chunk.length - this.#at);
    const needed = this.#copiedBytes + bytes;
    if (needed > this.#copy.length) {
      // allocUnsafeSlow: a slice of Node's pool would retain 8 kB.
      const larger = Buffer.allocUnsafeSlow(Math.min(end, Math.max(FIRST_COPY_BYTES, 2 * needed)));
      this.#copy.copy(larger, 0, 0, this.#copiedBytes);
      this.#copy = larger;
    }
    this.#chunk.copy(this.#copy, this.#copiedBytes, this.#at, this.#at + bytes);
    this.#copiedBytes = needed;
    this.#at += bytes;
  }

  /** The chunk is used up. */
  #releaseChunk(): undefined {
    this.#chunk = EMPTY;
    this.#at = 0;
  }

  #skipTruncated(): void {
    const bytes = Math.min(this.#skipBytes, this.#chunk.length - this.#at);
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

  /** Returns the end of the frame that begins at `at`; while its size is incomplete, the end of the size. */
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
    if (maxBodyBytes < 0) throw new ProtocolError("invalid", "the peer sent a message before READY");
    if (this.#truncateToBytes === undefined || flags >= FLAG_COMMAND) throw tooLarge(size, maxBodyBytes);
    return body + Math.min(size, this.#truncateToBytes);
  }
}

/** Reads eight bytes; above 2^53 the result is inexact, which no limit needs. (85 ns in the first 10,000 calls; with BigInt 200.) */
function readSize(bytes: Buffer, at: number): number {
  return bytes.readUInt32BE(at) * 2 ** 32 + bytes.readUInt32BE(at + 4);
}

function tooLarge(size: number, limit: number): ProtocolError {
  return new ProtocolError("too_large", `a frame has ${size} bytes, the limit is ${limit}`);
}

function wrongFlags(flags: number): ProtocolError {
  const hex = flags.toString(16).padStart(2, "0");
  return new ProtocolError("invalid", `the peer sent a frame with the flags 0x${hex}, which ZMTP 3 does not have`);
}
