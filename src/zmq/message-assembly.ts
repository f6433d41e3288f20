/** Collects the parts of a multipart message until the last one arrives. */
import { ProtocolError } from "../errors.js";

/** No valid message has more than three. */
const MAX_PART_COUNT = 100;
/** The longest head of a ZMTP frame: bytes that a part may share its memory with. */
const MAX_FRAME_HEAD_BYTES = 9;
/** Memory of a Buffer object in addition to its bytes. */
const BUFFER_OVERHEAD_BYTES = 400;

export class MessageAssembly {
  readonly #maxBytes: number;
  #parts: Buffer[] = [];
  #bytes = 0;
  /** Number of leading parts that have memory of their own. */
  #ownedParts = 0;

  /** `maxBytes`: limit for all parts of a message together. */
  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  get isEmpty(): boolean {
    return this.#parts.length === 0;
  }

  /** Bytes of memory that the parts take, after copyParts(). */
  get heldBytes(): number {
    return this.#bytes + BUFFER_OVERHEAD_BYTES * this.#parts.length;
  }

  /** Throws "too_large" at too many parts or bytes. */
  add(part: Buffer): void {
    this.#bytes += part.length;
    if (this.#parts.push(part) > MAX_PART_COUNT || this.#bytes > this.#maxBytes) throw this.#tooLarge();
  }

  /** Copies parts out of the memory of the read that brought them: one byte must not retain 64 kB. */
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
    const what = `a message has more than ${this.#maxBytes} bytes or ${MAX_PART_COUNT} parts`;
    return new ProtocolError("too_large", what);
  }

  /** Returns the parts and starts the next message. */
  take(): Buffer[] {
    const parts = this.#parts;
    this.#parts = [];
    this.#bytes = 0;
    this.#ownedParts = 0;
    return parts;
  }
}
