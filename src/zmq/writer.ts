/**
 * The only sender of a socket. zeromq.js throws EBUSY at a send() while another is pending, so frames queue here and one
 * loop awaits them one by one (20,000 frames take about 65 ms).
 */
export interface Sending {
  send(frame: Buffer): Promise<void>;
}

export class Writer {
  readonly #socket: Sending;
  #queue: Buffer[] = [];
  #running: Promise<void> | undefined;
  #closed = false;

  constructor(socket: Sending) {
    this.#socket = socket;
  }

  send(frame: Buffer): void {
    if (this.#closed) return;
    this.#queue.push(frame);
    this.#running ??= this.#run();
  }

  /** Resolves when everything that was queued has been handed to libzmq. Later frames are dropped. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#running;
  }

  async #run(): Promise<void> {
    while (this.#queue.length > 0) {
      const frames = this.#queue;
      this.#queue = [];
      for (const frame of frames) await this.#socket.send(frame);
    }
    this.#running = undefined;
  }
}
