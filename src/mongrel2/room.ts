/**
 * Room in Mongrel2's memory. It copies a body for each connection, and frees all copies of a flush once they are written; glibc then
 * gives the memory back to the kernel, and at the next flush takes it again page by page, which costs more than the copying. But
 * where a block of its own has been freed, glibc keeps twice as much from then on (mallopt(3), M_MMAP_THRESHOLD). So before the first
 * large flush of a link's life goes one large message to nobody: Mongrel2 takes it, finds no connection, and frees it. (Bursts of 5000
 * events to 1000 clients: 5.1 million deliveries/s against 3.0. Where Mongrel2 runs with another malloc, or with MALLOC_TRIM_THRESHOLD_
 * set, it changes nothing.)
 */

/** Copies of one flush together, bytes, from which on there should be room. */
const LARGE = 8_000_000;
/** Half of that is enough, see above. */
const BLOCK = LARGE / 2;

export class Room {
  readonly #send: (body: Buffer) => void;
  #isMade = false;

  /** `send` sends a body to no connection. */
  constructor(send: (body: Buffer) => void) {
    this.#send = send;
  }

  /** So many bytes are about to be copied. */
  make(bytes: number): void {
    if (this.#isMade || bytes < LARGE) return;
    this.#isMade = true;
    this.#send(Buffer.alloc(BLOCK));
  }

  /** It is another Mongrel2 from now on. */
  reset(): void {
    this.#isMade = false;
  }
}
