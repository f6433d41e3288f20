/** The parts of a message of which some are still to come. */
import { ProtocolError } from "../errors.js";

/** No message that we have a use for has more than three. */
const MAX_PARTS = 100;
/** Of a frame: what a part may share its memory with. */
const MAX_HEAD_BYTES = 9;
/** What a Buffer takes beside its bytes. */
const BUFFER_BYTES = 400;

export class Assembly {
  readonly #limit: number;
  #parts: Buffer[] = [];
  #bytes = 0;
  /** The first so many parts have memory of their own. */
  #copied = 0;

  /** `limit`: bytes that all parts of a message may have together. */
  constructor(limit: number) {
    this.#limit = limit;
  }

  get isEmpty(): boolean {
    return this.#parts.length === 0;
  }

  /** Bytes of memory that the parts take, after own(). */
  get heldBytes(): number {
    return this.#bytes + BUFFER_BYTES * this.#parts.length;
  }

  /** Throws "too_large" at too many parts or bytes. */
  add(part: Buffer): void {
    this.#bytes += part.length;
    if (this.#parts.push(part) > MAX_PARTS || this.#bytes > this.#limit) throw this.#tooLarge();
  }

  /** Copies parts out of the memory that was read together with them: one byte must not hold 64 kB. */
  own(): void {
    for (; this.#copied < this.#parts.length; this.#copied++) {
      const part = this.#parts[this.#copied] as Buffer;
      if (part.buffer.byteLength <= part.length + MAX_HEAD_BYTES) continue;
      const copy = Buffer.allocUnsafeSlow(part.length);
      part.copy(copy);
      this.#parts[this.#copied] = copy;
    }
  }

  #tooLarge(): ProtocolError {
    const what = `a message of more than the ${this.#limit} bytes or ${MAX_PARTS} parts that are taken`;
    return new ProtocolError("too_large", what);
  }

  take(): Buffer[] {
    const parts = this.#parts;
    this.#parts = [];
    this.#bytes = 0;
    this.#copied = 0;
    return parts;
  }
}
