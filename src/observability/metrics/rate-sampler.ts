/** Rates and the event-loop lag over the last five seconds, for /status and the dashboard. Reading them changes nothing. */
import type { Cancel, Clock } from "../../util/clock.js";
import type { Counters } from "./counters.js";
import type { EventLoopLag } from "./event-loop-lag.js";

const SAMPLE_INTERVAL_MS = 1000;
/** Samples that are kept: those of five seconds, and the one before them. */
const MAX_SAMPLE_COUNT = 6;

/** Counts a second, averaged over the last five seconds. */
export interface Rates {
  readonly publications: number;
  readonly deliveries: number;
  readonly connects: number;
  readonly disconnects: number;
  readonly frames: number;
  /** Bytes of the frames' bodies. */
  readonly bytes: number;
}

interface Sample {
  readonly at: number;
  readonly total: Rates;
  /** Deliveries by server. */
  readonly servers: ReadonlyMap<string, number>;
  /** The longest delay of the event loop since the sample before, milliseconds. */
  readonly lagMs: number;
}

export interface RateSamplerOptions {
  readonly clock: Clock;
  readonly counters: Counters;
  readonly lag: EventLoopLag;
  /** Called with each delay of the event loop, milliseconds. */
  readonly observeLag: (ms: number) => void;
}

export class RateSampler {
  readonly #options: RateSamplerOptions;
  readonly #samples: Sample[] = [];
  #cancel: Cancel | undefined;

  constructor(options: RateSamplerOptions) {
    this.#options = options;
  }

  start(): void {
    this.#sample();
    this.#cancel = this.#options.clock.every(SAMPLE_INTERVAL_MS, () => this.#sample());
  }

  close(): void {
    this.#cancel?.();
    this.#cancel = undefined;
    this.#options.lag.close();
  }

  /** The longest delay of the event loop in the last five seconds, milliseconds. */
  get lagMs(): number {
    return Math.max(0, ...this.#samples.map(({ lagMs }) => lagMs));
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

  /** Deliveries a second to the clients of one server, over the same time. */
  deliveries(server: string): number {
    const now = this.#options.counters.servers.get(server)?.deliveries ?? 0;
    const before = this.#samples[0]?.servers.get(server) ?? 0;
    return this.#seconds() > 0 ? (now - before) / this.#seconds() : 0;
  }

  #seconds(): number {
    const [since] = this.#samples;
    return since ? (this.#options.clock.monotonic() - since.at) / 1000 : 0;
  }

  #sample(): void {
    const { clock, counters, lag, observeLag } = this.#options;
    const servers = new Map([...counters.servers].map(([name, { deliveries }]) => [name, deliveries]));
    const lags = lag.take();
    for (const ms of lags) observeLag(ms);
    this.#samples.push({ at: clock.monotonic(), total: totals(counters), servers, lagMs: lags.at(-1) ?? 0 });
    if (this.#samples.length > MAX_SAMPLE_COUNT) this.#samples.shift();
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
