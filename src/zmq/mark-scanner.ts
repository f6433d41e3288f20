/**
 * Finds a byte sequence in a stream of chunks, also across a boundary. Used while a link stops receiving: the socket must be
 * half-closed in the read callback that brings the fence's notice, long before the messages in front of that notice have been
 * parsed and handled (docs/architecture/mongrel2.md 2.8).
 */
export class MarkScanner {
  readonly #mark: Buffer;
  /** The last bytes read: one byte less than the mark. */
  #tail: Buffer = Buffer.alloc(0);

  constructor(mark: Buffer) {
    this.#mark = mark;
  }

  /** Whether the mark ends in this chunk. Call it with every chunk. */
  isIn(bytes: Buffer): boolean {
    const kept = this.#mark.length - 1;
    const seam = Buffer.concat([this.#tail, bytes.subarray(0, kept)]);
    const end = bytes.length >= kept ? bytes : seam;
    this.#tail = Buffer.from(end.subarray(Math.max(0, end.length - kept)));
    return seam.includes(this.#mark) || bytes.includes(this.#mark);
  }
}
