/** Follows a hub for `m2push subscribe`: opens the stream again from the last handled event on, whenever it ends. */

import { CancellableSleep } from "../../util/cancellable-sleep.js";
import type { Clock } from "../../util/clock.js";
import { isSendable, openEventStream, type StreamEvent, StreamLost } from "./event-stream.js";

/** Delay before the first retry where the hub states none; it doubles with each failure. */
const RETRY_DELAY_MS = 1000;
const MIN_RETRY_DELAY_MS = 100;
const MAX_BACKOFF_DELAY_MS = 30_000;
/** Longest delay that a hub may ask for. */
const MAX_RETRY_DELAY_MS = 3_600_000;
const MS_PER_SECOND = 1000;
/** The events of a stream that are for this command. */
const OPEN_TYPE = "m2push-open";
const HEARTBEAT_TYPE = "m2push-heartbeat";
const GAP_TYPE = "m2push-gap";

export interface FollowOptions {
  readonly url: URL;
  /** Called before each attempt. */
  readonly token: () => string | undefined;
  /** Continue after this event; "" = begin with the events from now on. */
  readonly lastEventId: string;
  /** Ends it. */
  readonly signal: AbortSignal;
  readonly clock: Clock;
  /** From 0 to 1: makes the delays of many clients differ. */
  readonly random: () => number;
}

export interface FollowObserver {
  /** In order; the next event is read when it resolves. "stop" ends it. */
  event(event: StreamEvent & { readonly data: string }): Promise<"stop" | undefined>;
  /** Events are lost. `data`: that of the hub's m2push-gap. */
  gap(data: string): void;
  /** The stream has ended, and is opened again after `delayMs`. */
  lost(reason: string, delayMs: number): void;
}

const NO_POSITION = JSON.stringify({ reason: "unknown", oldest: "" });

/** Resolves when the observer stops it, the signal is aborted, or the hub answers 204. Rejects where the hub refuses, and with errors of the observer. */
export function follow(options: FollowOptions, observer: FollowObserver): Promise<void> {
  return new Follower(options, observer).run();
}

class Follower {
  readonly #options: FollowOptions;
  readonly #observer: FollowObserver;
  readonly #sleep: CancellableSleep;
  #position: string;
  #retryDelayMs = RETRY_DELAY_MS;
  #failureCount = 0;
  #wasOpen = false;

  constructor(options: FollowOptions, observer: FollowObserver) {
    this.#options = options;
    this.#observer = observer;
    this.#position = options.lastEventId;
    this.#sleep = new CancellableSleep(options.clock);
    options.signal.addEventListener("abort", () => this.#sleep.cancel());
  }

  async run(): Promise<void> {
    const { signal } = this.#options;
    while (!signal.aborted) {
      try {
        if ((await this.#attempt()) === "stop") return;
      } catch (error) {
        if (signal.aborted) return;
        if (!(error instanceof StreamLost)) throw error;
        const delayMs = this.#nextDelay(error.retryAfterMs);
        this.#observer.lost(error.message, delayMs);
        await this.#sleep.for(delayMs);
      }
    }
  }

  async #attempt(): Promise<"stop" | undefined> {
    const { url, token, signal, clock } = this.#options;
    const request = { url, token: token(), lastEventId: this.#position, signal, clock };
    const stream = await openEventStream(request, (delayMs) => {
      this.#retryDelayMs = Math.min(Math.max(delayMs, MIN_RETRY_DELAY_MS), MAX_RETRY_DELAY_MS);
    });
    if (!stream) return "stop";
    this.#failureCount = 0;
    if (this.#wasOpen && this.#position === "") this.#observer.gap(NO_POSITION);
    this.#wasOpen = true;
    for await (const event of stream.events) {
      if (signal.aborted || (await this.#handle(event)) === "stop") return "stop";
      // After it was handled: an event whose handler fails is not lost.
      if (event.id !== "" && isSendable(event.id)) this.#position = event.id;
    }
    return undefined;
  }

  async #handle({ type, data, id }: StreamEvent): Promise<"stop" | undefined> {
    if (data === undefined || type === OPEN_TYPE || type === HEARTBEAT_TYPE) return undefined;
    if (type !== GAP_TYPE) return this.#observer.event({ type, data, id });
    this.#observer.gap(data);
    return undefined;
  }

  #nextDelay(retryAfterMs: number): number {
    const growing = this.#retryDelayMs * 2 ** this.#failureCount++;
    const delayMs = Math.max(retryAfterMs, Math.min(growing, Math.max(MAX_BACKOFF_DELAY_MS, this.#retryDelayMs)));
    return Math.min(Math.round(delayMs * (1 + this.#options.random() / 2)), MAX_RETRY_DELAY_MS);
  }
}

/** For a terminal: "1.3 s". */
export const secondsText = (ms: number): string => `${(ms / MS_PER_SECOND).toFixed(1)} s`;
