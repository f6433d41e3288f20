/**
 * Room in Mongrel2's memory. It copies a body for each connection, and frees all copies of a flush once they are written; glibc then
 * gives the memory back to the kernel, and at the next flush takes it again page by page, which costs more than the copying. But
 * where a block of its own has been freed, glibc keeps twice as much from then on (mallopt(3), M_MMAP_THRESHOLD). So when a burst
 * begins, Mongrel2 is sent one large message to nobody: it takes it, finds no connection, and frees it. (Bursts of 5000 events to 1000
 * clients: 4.4 million deliveries/s against 2.8. Where Mongrel2 runs with another malloc, or with MALLOC_TRIM_THRESHOLD_ set, it
 * changes nothing.)
 */

/** Copies of a flush together, bytes: two such in a row are a burst. */
const BURST_FLUSH_BYTES = 12_000_000;
/** Bytes. glibc then keeps 8 MB, and what it cannot give back because something above it is in use. */
const WARMUP_BYTES = 4_000_000;

export class HeapWarmup {
  readonly #send: (body: Buffer) => void;
  /** Large flushes in a row. */
  #largeFlushes = 0;
  #isSent = false;

  /** `send` sends a body to no connection. */
  constructor(send: (body: Buffer) => void) {
    this.#send = send;
  }

  /** So many bytes are about to be copied. */
  beforeFlush(bytes: number): void {
    this.#largeFlushes = bytes < BURST_FLUSH_BYTES ? 0 : this.#largeFlushes + 1;
    if (this.#isSent || this.#largeFlushes < 2) return;
    this.#isSent = true;
    this.#send(Buffer.alloc(WARMUP_BYTES));
  }

  /** It is another Mongrel2 from now on. */
  reset(): void {
    this.#largeFlushes = 0;
    this.#isSent = false;
  }
}
