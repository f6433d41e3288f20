/** The parts of a message of which some are still to come. */
import { ProtocolError } from "../errors.js";

/** No message that we have a use for has more than three. */
const MAX_PART_COUNT = 100;
/** Of a frame: what a part may share its memory with. */
const MAX_FRAME_HEAD_BYTES = 9;
/** What a Buffer takes beside its bytes. */
const BUFFER_OVERHEAD_BYTES = 400;

export class MessageAssembly {
  readonly #maxBytes: number;
  #parts: Buffer[] = [];
  #bytes = 0;
  /** The first so many parts have memory of their own. */
  #ownedParts = 0;

  /** `limit`: bytes that all parts of a message may have together. */
  constructor(limit: number) {
    this.#maxBytes = limit;
  }

  get isEmpty(): boolean {
    return this.#parts.length === 0;
  }

  /** Bytes of memory that the parts take, after own(). */
  get heldBytes(): number {
    return this.#bytes + BUFFER_OVERHEAD_BYTES * this.#parts.length;
  }

  /** Throws "too_large" at too many parts or bytes. */
  add(part: Buffer): void {
    this.#bytes += part.length;
    if (this.#parts.push(part) > MAX_PART_COUNT || this.#bytes > this.#maxBytes) throw this.#tooLarge();
  }

  /** Copies parts out of the memory that was read together with them: one byte must not hold 64 kB. */
  copyParts(): void {
    for (; this.#ownedParts < this.#parts.length; this.#ownedParts++) {
      const part = this.#parts[this.#ownedParts] as Buffer;
      if (part.buffer.byteLength <= part.length + MAX_FRAME_HEAD_BYTES) continue;
      const copy = Buffer.allocUnsafeSlow(part.length);
      part.copy(copy);
      this.#parts[this.#ownedParts] = copy;
    }
  }

  #tooLarge(): ProtocolError {
    const what = `a message of more than the ${this.#maxBytes} bytes or ${MAX_PART_COUNT} parts that are taken`;
    return new ProtocolError("too_large", what);
  }

  take(): Buffer[] {
    const parts = this.#parts;
    this.#parts = [];
    this.#bytes = 0;
    this.#ownedParts = 0;
    return parts;
  }
}
