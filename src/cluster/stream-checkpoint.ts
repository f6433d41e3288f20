/**
 * The daemon's location in the stream, in a small file (cluster.json): a daemon that starts while NATS is disconnected can serve the
 * clients of the previous process, and a stream that has lost its newest messages is detected. The file is written once a second;
 * a location that is a little old does no harm.
 */
import { readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Cancel, Clock } from "../util/clock.js";
import { PRIVATE_MODE } from "../util/private-files.js";
import type { StreamLocation } from "./stream-validator.js";

const WRITE_INTERVAL_MS = 1000;

export class StreamCheckpoint {
  readonly #file: string;
  readonly #stream: string;
  #lastWritten: StreamLocation | undefined;
  #stopTimer: Cancel | undefined;

  /** `folder` must exist. */
  constructor(folder: string, stream: string) {
    this.#file = join(folder, "cluster.json");
    this.#stream = stream;
  }

  /** Undefined without a readable checkpoint of this stream. */
  read(): StreamLocation | undefined {
    try {
      const { stream, epoch, last, stamp } = JSON.parse(readFileSync(this.#file, "utf8"));
      const isRight = typeof epoch === "string" && Number.isSafeInteger(last) && last >= 0 && typeof stamp === "string";
      return stream === this.#stream && isRight ? { epoch, last, stamp } : undefined;
    } catch {
      return undefined;
    }
  }

  /** Writes the location each second from now on. `failed` is called for each write that fails. */
  start(location: () => StreamLocation | undefined, clock: Clock, failed: (error: unknown) => void): void {
    const write = () => this.#write(location(), failed);
    this.#stopTimer = clock.every(WRITE_INTERVAL_MS, write);
    write();
  }

  close(location: StreamLocation | undefined, failed: (error: unknown) => void): void {
    this.#stopTimer?.();
    this.#write(location, failed);
  }

  /** Atomic: a rename replaces the file. */
  #write(location: StreamLocation | undefined, failed: (error: unknown) => void): void {
    if (!location || location === this.#lastWritten) return;
    try {
      writeFileSync(`${this.#file}.new`, `${JSON.stringify({ stream: this.#stream, ...location })}\n`, {
        mode: PRIVATE_MODE,
      });
      renameSync(`${this.#file}.new`, this.#file);
      this.#lastWritten = location;
    } catch (error) {
      failed(error);
    }
  }
}
