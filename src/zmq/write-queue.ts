/** Queue of messages to send: all that are queued in one tick leave in one write. */
import type { Socket } from "node:net";
import { frameBytes, writeFrameHead } from "../protocol/zmtp.js";

/** Size at which the queue is written, bytes: the first of 500,000 clients does not wait for the last one's frame. */
const MAX_QUEUED_BYTES = 128_000;

export class WriteQueue {
  readonly #socket: Socket;
  /** Messages, each as two buffers: head and body. */
  #pieces: Buffer[] = [];
  #bytes = 0;

  constructor(socket: Socket) {
    this.#socket = socket;
  }

  /** Queues head and body as a message of one part. */
  push(head: Buffer, body: Buffer): void {
    if (this.#pieces.push(head, body) === 2) process.nextTick(this.flush);
    this.#bytes += frameBytes(head.length + body.length);
    if (this.#bytes >= MAX_QUEUED_BYTES) this.flush();
  }

  readonly flush = (): void => {
    if (this.#pieces.length === 0) return;
    const bytes = Buffer.allocUnsafe(this.#bytes);
    const pieces = this.#pieces;
    for (let piece = 0, at = 0; piece < pieces.length; piece += 2) {
      const [head, body] = [pieces[piece] as Buffer, pieces[piece + 1] as Buffer];
      at = writeFrameHead(bytes, at, head.length + body.length);
      bytes.set(head, at);
      bytes.set(body, at + head.length);
      at += head.length + body.length;
    }
    this.#pieces = [];
    this.#bytes = 0;
    if (this.#socket.writable) this.#socket.write(bytes);
  };
}
