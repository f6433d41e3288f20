/**
 * Reads the history for the hub and handles every failed read: it is retried at growing intervals that all readers share; after
 * MAX_READ_COUNT reads its client gets a gap event ("unavailable") and goes on from the next offset that it can read. Failing reads are one
 * condition, which ends by itself: the read that failed last is tried each second.
 */
import { messageOf } from "../errors.js";
import type { Publication } from "../protocol/publication.js";
import { backoff } from "../util/backoff.js";
import type { Cancel, Clock } from "../util/clock.js";
import { conditionTexts } from "../util/condition-texts.js";
import type { Conditions } from "../util/conditions.js";
import type { EqualIds, History, HistoryPage, ReadOptions } from "./history.js";
import type { GapReason } from "./reasons.js";

/** A page, or what takes its place where it could not be read. */
export interface ReadPage extends HistoryPage {
  /** Publications up to `through` could not be read. */
  readonly isUnavailable?: true;
  /** Publications are missing for this reason. */
  readonly gap?: GapReason;
}

/** Reads for one page: with 5 intervals between them, 3 seconds. */
const MAX_READ_COUNT = 6;
const FIRST_RETRY_MS = 100;
const MAX_RETRY_MS = 2000;
const PROBE_INTERVAL_MS = 1000;
const matchNothing = () => false;

export class HistoryReader {
  readonly #history: History;
  readonly #clock: Clock;
  readonly #conditions: Conditions | undefined;
  readonly #interval = backoff(FIRST_RETRY_MS, MAX_RETRY_MS);
  /** Resolves at the end of the interval for which all failed reads wait; undefined = none waits. */
  #pause: Promise<void> | undefined;
  #endPause: () => void = () => {};
  /** Set while reads fail. */
  #stopProbing: Cancel | undefined;
  /** The read that failed last. */
  #probe: () => unknown = () => {};
  #isClosed = false;

  /** `conditions`: where failing reads are reported; absent = nowhere. */
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

  /** See History.read(). Neither throws nor rejects. `begin` is called before each read. */
  read(after: number, begin: () => ReadOptions): ReadPage | Promise<ReadPage> {
    let options: ReadOptions;
    const read = () => {
      options = begin();
      return this.#history.read(after, options);
    };
    const probe = () => this.#history.read(after, { ...options, match: matchNothing });
    const lost = (): ReadPage => ({ publications: [], through: begin().through, isUnavailable: true });
    return this.#guard(read, probe, lost);
  }

  /** See VisibleHistory. */
  isVisible(publication: Publication): boolean {
    return this.#history.isVisible?.(publication) ?? true;
  }

  /** See History.find(). Neither throws nor rejects. */
  find(id: string, which?: EqualIds): number | undefined | "unavailable" | Promise<number | undefined | "unavailable"> {
    const find = () => this.#history.find(id, which);
    return this.#guard<number | undefined | "unavailable">(find, find, () => "unavailable");
  }

  /** No read is retried any more: promises of failed reads stay pending. */
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
    for (let tries = 1; tries < MAX_READ_COUNT; tries++) {
      await this.#nextTry();
      if (this.#isClosed) return new Promise(() => {});
      // Another reader's read has failed in this interval: readers that wait together cost one read.
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
      const end = () => {
        this.#pause = undefined;
        resolve();
      };
      const cancel = this.#clock.after(this.#interval.next(), end);
      this.#endPause = () => {
        cancel();
        end();
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
    if (!this.#isClosed) this.#stopProbing ??= this.#clock.every(PROBE_INTERVAL_MS, () => void this.#probeAgain());
    this.#conditions?.begin({
      code: "history_read_failing",
      subject: "",
      ...conditionTexts.historyReadFailing(messageOf(error)),
    });
    return then();
  }

  async #probeAgain(): Promise<void> {
    const probe = this.#probe;
    try {
      await probe();
    } catch {
      return; // the condition lasts
    }
    if (probe === this.#probe) this.#succeeded(undefined);
  }
}
