/** A net.Socket without a network: a test says what comes in and sees what leaves. */
import { EventEmitter } from "node:events";
import type { Socket } from "node:net";

export class FakeNetSocket extends EventEmitter {
  readonly #written: Buffer[] = [];
  connecting: boolean;
  writable = true;
  writableNeedDrain = false;
  isPaused = false;
  destroyedWith: Error | undefined;
  isDestroyed = false;
  isEnded = false;

  constructor({ connecting = false } = {}) {
    super();
    this.connecting = connecting;
  }

  /** As the type that it stands for. */
  get socket(): Socket {
    return this as unknown as Socket;
  }

  /** All that was written, as bytes. */
  get written(): string {
    return Buffer.concat(this.#written).toString("latin1");
  }

  receive(bytes: Buffer | string): void {
    this.emit("data", typeof bytes === "string" ? Buffer.from(bytes, "latin1") : bytes);
  }

  setNoDelay(): this {
    return this;
  }

  setKeepAlive(): this {
    return this;
  }

  write(bytes: Buffer): boolean {
    this.#written.push(bytes);
    return true;
  }

  pause(): this {
    this.isPaused = true;
    return this;
  }

  resume(): this {
    this.isPaused = false;
    return this;
  }

  end(): this {
    this.isEnded = true;
    return this;
  }

  destroy(error?: Error): this {
    this.isDestroyed = true;
    this.destroyedWith = error;
    return this;
  }
}
