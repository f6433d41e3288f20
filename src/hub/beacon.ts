/** The beacon: publishes an event with the time at a fixed interval, so that an operator can see that events flow. */
import type { Draft } from "../protocol/publication.js";
import type { Cancel, Clock } from "../util/clock.js";

export interface BeaconTimes {
  /** Milliseconds; 0 = no beacon. */
  readonly interval: number;
  readonly topic: string;
}

export interface BeaconOptions {
  readonly clock: Clock;
  readonly publish: (draft: Draft) => void;
}

export class Beacon {
  readonly #options: BeaconOptions;
  #cancel: Cancel | undefined;

  constructor(options: BeaconOptions) {
    this.#options = options;
  }

  /** Starts, or continues with another interval or topic. */
  start({ interval, topic }: BeaconTimes): void {
    this.close();
    if (interval > 0) this.#cancel = this.#options.clock.every(interval, () => this.#publish(topic));
  }

  close(): void {
    this.#cancel?.();
  }

  #publish(topic: string): void {
    const { clock, publish } = this.#options;
    publish({ topics: [topic], data: `Timestamp ${new Date(clock.now()).toISOString()}`, private: false });
  }
}
