/** Queue of chunks that were read and not handled yet. Reading pauses above a limit, which in turn blocks the sender. */
import type { Socket } from "node:net";

/** Memory of a chunk in addition to its bytes. */
const CHUNK_OVERHEAD_BYTES = 400;
/** Limit for queued chunks, however small they are. */
const MAX_CHUNK_COUNT = 1000;

export class ReadQueue {
  readonly #socket: Socket;
  readonly #chunks: Buffer[] = [];
  /** Bytes of the queued chunks, and of the chunk that was taken last. */
  #bytes = 0;
  #lastBytes = 0;
  #isPaused = false;

  constructor(socket: Socket) {
    this.#socket = socket;
  }

  get isEmpty(): boolean {
    return this.#chunks.length === 0;
  }

  push(chunk: Buffer): void {
    this.#chunks.push(chunk);
    this.#bytes += chunk.length + CHUNK_OVERHEAD_BYTES;
  }

  /** Takes the next chunk; the one before is handled. */
  shift(): Buffer | undefined {
    const chunk = this.#chunks.shift();
    this.#bytes -= this.#lastBytes;
    this.#lastBytes = chunk ? chunk.length + CHUNK_OVERHEAD_BYTES : 0;
    return chunk;
  }

  clear(): void {
    this.#chunks.length = 0;
    this.#bytes = 0;
    this.#lastBytes = 0;
  }

  /** Pauses reading above `maxBytes`, and resumes it at half of that. */
  adjust(maxBytes: number): void {
    const factor = this.#isPaused ? 0.5 : 1;
    const isFull = this.#bytes > factor * maxBytes || this.#chunks.length > factor * MAX_CHUNK_COUNT;
    if (isFull && !this.#isPaused) this.#pause();
    else if (!isFull) this.resume();
  }

  /** Resumes reading, however much is queued. */
  resume(): void {
    if (!this.#isPaused) return;
    this.#isPaused = false;
    this.#socket.resume();
  }

  #pause(): void {
    this.#isPaused = true;
    this.#socket.pause();
  }
}
