/**
 * The history as the hub reads it: the one place where a read may fail. A read that throws or rejects is tried again, at growing
 * intervals that all readers share; after MAX_TRIES its client is told in-band ("unavailable") and goes on from where it can.
 * What fails is one standing problem, and it ends by itself: the read that failed is tried each second.
 */
import { backoff } from "../util/backoff.js";
import type { Cancel, Clock } from "../util/clock.js";
import type { Conditions } from "../util/conditions.js";
import type { EqualIds, History, HistoryPage, ReadOptions } from "./ports.js";

/** What is given to a client in place of publications that could not be read. */
export interface ReadPage extends HistoryPage {
  /** What lies up to `through` could not be read. */
  readonly isUnavailable?: true;
}

/** Of a read: with 5 intervals between them, 3 seconds. */
const MAX_TRIES = 6;
const RETRY_MS = { first: 100, last: 2000 };
const PROBE_INTERVAL_MS = 1000;
const nothing = () => false;

export class HistoryReader {
  readonly #history: History;
  readonly #clock: Clock;
  readonly #conditions: Conditions | undefined;
  readonly #interval = backoff(RETRY_MS.first, RETRY_MS.last);
  /** The interval that those whose read has failed wait for; undefined = none has failed since the last one was over. */
  #pause: Promise<void> | undefined;
  #endPause: () => void = () => {};
  /** Runs while reads fail; undefined = they do not. */
  #stopProbing: Cancel | undefined;
  /** The read that failed last. */
  #probe: () => unknown = () => {};
  #isClosed = false;

  /** `conditions`: where failures are told; absent = nowhere. */
  constructor(history: History, clock: Clock, conditions?: Conditions) {
    this.#history = history;
    this.#clock = clock;
    this.#conditions = conditions;
  }

  get epoch(): string {
    return this.#history.epoch;
  }

  get last(): number {
    return this.#history.last;
  }

  get floor(): number {
    return this.#history.floor;
  }

  /** See History.read(). Neither throws nor rejects. `begin` is called before each try. */
  read(after: number, begin: () => ReadOptions): ReadPage | Promise<ReadPage> {
    let options: ReadOptions;
    const read = () => {
      options = begin();
      return this.#history.read(after, options);
    };
    const probe = () => this.#history.read(after, { ...options, match: nothing });
    const lost = (): ReadPage => ({ publications: [], through: begin().through, isUnavailable: true });
    return this.#guard(read, probe, lost);
  }

  /** See History.find(). Neither throws nor rejects. */
  find(id: string, which?: EqualIds): number | undefined | "unavailable" | Promise<number | undefined | "unavailable"> {
    const find = () => this.#history.find(id, which);
    return this.#guard<number | undefined | "unavailable">(find, find, () => "unavailable");
  }

  /** Nothing is tried again: who waits gets no answer. */
  close(): void {
    this.#isClosed = true;
    this.#endPause();
    this.#stopProbing?.();
  }

  #guard<Result>(read: () => Result | Promise<Result>, probe: () => unknown, lost: () => Result) {
    try {
      const result = read();
      if (!(result instanceof Promise)) return this.#succeeded(result);
      return result.then(
        (it) => this.#succeeded(it),
        (error) => this.#failed(error, probe, () => this.#retry(read, probe, lost)),
      );
    } catch (error) {
      return this.#failed(error, probe, () => this.#retry(read, probe, lost));
    }
  }

  async #retry<Result>(
    read: () => Result | Promise<Result>,
    probe: () => unknown,
    lost: () => Result,
  ): Promise<Result> {
    for (let tries = 1; tries < MAX_TRIES; tries++) {
      await this.#nextTry();
      if (this.#isClosed) return new Promise(() => {});
      // Another one has failed in this very moment: a crowd that waits together costs one read.
      if (this.#pause) continue;
      try {
        return this.#succeeded(await read());
      } catch (error) {
        void this.#failed(error, probe, () => this.#nextTry());
      }
    }
    return lost();
  }

  #nextTry(): Promise<void> {
    this.#pause ??= new Promise((resolve) => {
      const over = () => {
        this.#pause = undefined;
        resolve();
      };
      const cancel = this.#clock.after(this.#interval.next(), over);
      this.#endPause = () => {
        cancel();
        over();
      };
    });
    return this.#pause;
  }

  #succeeded<Result>(result: Result): Result {
    if (!this.#stopProbing) return result;
    this.#stopProbing();
    this.#stopProbing = undefined;
    this.#interval.reset();
    this.#conditions?.end("history_read_failing", "");
    return result;
  }

  #failed<Result>(error: unknown, probe: () => unknown, then: () => Result): Result {
    this.#probe = probe;
    if (!this.#isClosed) this.#stopProbing ??= this.#clock.every(PROBE_INTERVAL_MS, () => void this.#tryAgain());
    const why = error instanceof Error ? error.message : String(error);
    this.#conditions?.begin({
      code: "history_read_failing",
      subject: "",
      message: `the history cannot be read: ${why}`,
      fix: "look for errors of the disk that holds [history] path (dmesg), or of NATS; a damaged file is found by a restart",
    });
    return then();
  }

  async #tryAgain(): Promise<void> {
    const probe = this.#probe;
    try {
      await probe();
    } catch {
      return; // the condition lasts
    }
    if (probe === this.#probe) this.#succeeded(undefined);
  }
}
