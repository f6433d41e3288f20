/** What was read from a socket and is not looked at yet; where it is too much, reading stops: the other end is then held up, too. */
import type { Socket } from "node:net";

/** What a piece that was read takes beside its bytes. */
const PIECE_OVERHEAD_BYTES = 400;
/** Pieces that wait, however small they are. */
const MAX_PIECE_COUNT = 1000;

export class ReadQueue {
  readonly #socket: Socket;
  readonly #pieces: Buffer[] = [];
  /** Of the pieces, and of the one that was taken last. */
  #bytes = 0;
  #lastBytes = 0;
  #isPaused = false;

  constructor(socket: Socket) {
    this.#socket = socket;
  }

  push(piece: Buffer): void {
    this.#pieces.push(piece);
    this.#bytes += piece.length + PIECE_OVERHEAD_BYTES;
  }

  /** The next piece; the one before is used up. */
  shift(): Buffer | undefined {
    const piece = this.#pieces.shift();
    this.#bytes -= this.#lastBytes;
    this.#lastBytes = piece ? piece.length + PIECE_OVERHEAD_BYTES : 0;
    return piece;
  }

  clear(): void {
    this.#pieces.length = 0;
    this.#bytes = 0;
    this.#lastBytes = 0;
  }

  /** Stops reading above `share` bytes, and goes on below half of that. */
  adjust(maxBytes: number): void {
    const part = this.#isPaused ? 0.5 : 1;
    const isFull = this.#bytes > part * maxBytes || this.#pieces.length > part * MAX_PIECE_COUNT;
    if (isFull && !this.#isPaused) this.#pause();
    else if (!isFull) this.resume();
  }

  /** Goes on reading, whatever waits. */
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
