/**
 * What needs a clock of its own: how late the event loop is, and how much happens a second. Both are looked at over the last
 * few seconds, by anybody and as often as they like: looking changes nothing.
 */
import type { Cancel, Clock } from "../../util/clock.js";
import type { Counters } from "./counters.js";

/** Between two looks at how late a timer is, milliseconds; a stall that is longer is always seen. */
const TICK = 100;
/** Ticks from one sample of the counts to the next, and how many samples are kept. */
const SAMPLE = 10;
const SAMPLES = 6;

/** A second's worth, averaged over the last five seconds. */
export interface Rates {
  readonly publications: number;
  readonly deliveries: number;
  readonly connects: number;
  readonly disconnects: number;
  readonly frames: number;
  /** Of frames. */
  readonly bytes: number;
}

interface Sample {
  readonly at: number;
  readonly total: Rates;
  /** Deliveries by server. */
  readonly servers: ReadonlyMap<string, number>;
  /** The latest a timer was since the sample before, milliseconds. */
  readonly lag: number;
}

export interface RateSamplerOptions {
  readonly clock: Clock;
  readonly counters: Counters;
  /** Told at each tick how late it is, milliseconds. */
  readonly lag: (ms: number) => void;
}

export class RateSampler {
  readonly #options: RateSamplerOptions;
  readonly #samples: Sample[] = [];
  #cancel: Cancel | undefined;
  #last = 0;
  #ticks = 0;
  #worst = 0;

  constructor(options: RateSamplerOptions) {
    this.#options = options;
  }

  start(): void {
    const { clock } = this.#options;
    this.#last = clock.monotonic();
    this.#sample();
    this.#cancel = clock.every(TICK, () => this.#tick());
  }

  close(): void {
    this.#cancel?.();
    this.#cancel = undefined;
  }

  /** The latest a timer was in the last five seconds, milliseconds. */
  get lag(): number {
    return Math.max(this.#worst, ...this.#samples.map(({ lag }) => lag));
  }

  get rates(): Rates {
    const total = totals(this.#options.counters);
    const since = this.#samples[0];
    const seconds = this.#seconds();
    const rate = (name: keyof Rates) => (since && seconds > 0 ? (total[name] - since.total[name]) / seconds : 0);
    return {
      publications: rate("publications"),
      deliveries: rate("deliveries"),
      connects: rate("connects"),
      disconnects: rate("disconnects"),
      frames: rate("frames"),
      bytes: rate("bytes"),
    };
  }

  /** Deliveries a second to the clients of one server. */
  deliveries(server: string): number {
    const now = this.#options.counters.servers.get(server)?.deliveries ?? 0;
    const before = this.#samples[0]?.servers.get(server) ?? 0;
    return this.#seconds() > 0 ? (now - before) / this.#seconds() : 0;
  }

  #seconds(): number {
    const [since] = this.#samples;
    return since ? (this.#options.clock.monotonic() - since.at) / 1000 : 0;
  }

  #tick(): void {
    const now = this.#options.clock.monotonic();
    const late = Math.max(0, now - this.#last - TICK);
    this.#last = now;
    this.#worst = Math.max(this.#worst, late);
    this.#options.lag(late);
    if (++this.#ticks % SAMPLE === 0) this.#sample();
  }

  #sample(): void {
    const { clock, counters } = this.#options;
    const servers = new Map([...counters.servers].map(([name, { deliveries }]) => [name, deliveries]));
    this.#samples.push({ at: clock.monotonic(), total: totals(counters), servers, lag: this.#worst });
    this.#worst = 0;
    if (this.#samples.length > SAMPLES) this.#samples.shift();
  }
}

function totals(counters: Counters): Rates {
  return {
    publications: counters.publications,
    deliveries: counters.sum("deliveries"),
    connects: counters.sum("connects"),
    disconnects: counters.sum("disconnects"),
    frames: counters.sum("frames"),
    bytes: counters.sum("bytes"),
  };
}
