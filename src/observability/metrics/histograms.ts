/**
 * The histograms. A value is observed for each flush or tick, never for each event: prom-client takes about 0.3 us for one, a counter 4 ns.
 * Values are buffered until a scrape, or until there are a hundred: where events come one by one, prom-client's code is out of the
 * processor's cache each time, and took 0.1 ms of the daemon's 1.5 for an event.
 */
import { Histogram, type HistogramConfiguration, type Registry } from "prom-client";

/** Upper bounds in seconds: Mongrel2 on the same machine answers a fence after 0.13 ms. */
const FENCE_BUCKETS_SECONDS = [
  0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5,
];
/** A publication's time is in whole milliseconds. */
const LATENCY_BUCKETS_SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];
const LAG_BUCKETS_SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5];
/** Bytes: from one small event to a full body for 100,000 clients. */
const FLUSH_BUCKETS_BYTES = [256, 1024, 4096, 16_384, 65_536, 262_144, 1_048_576, 4_194_304, 16_777_216, 67_108_864];

const MAX_BUFFERED_COUNT = 100;

/** Buffers values: see the head of the file. */
class BufferedHistogram<Label extends string> {
  readonly #histogram: Histogram<Label>;
  readonly #buffered: [labels: Record<Label, string>, value: number][] = [];

  constructor(config: HistogramConfiguration<Label>) {
    this.#histogram = new Histogram({ ...config, collect: () => this.#observeBuffered() });
  }

  zero(labels: Record<Label, string>): void {
    this.#histogram.zero(labels);
  }

  observe(labels: Record<Label, string>, value: number): void {
    if (this.#buffered.push([labels, value]) >= MAX_BUFFERED_COUNT) this.#observeBuffered();
  }

  #observeBuffered(): void {
    for (const [labels, value] of this.#buffered.splice(0)) this.#histogram.observe(labels, value);
  }
}

export class Histograms {
  readonly #fence: BufferedHistogram<"server">;
  readonly #latency: BufferedHistogram<"server">;
  readonly #flush: BufferedHistogram<"server">;
  readonly #lag: BufferedHistogram<never>;

  constructor(registry: Registry) {
    const made = <Label extends string>(name: string, help: string, buckets: number[], labelNames: Label[]) =>
      new BufferedHistogram<Label>({ name: `m2push_${name}`, help, buckets, labelNames, registers: [registry] });
    this.#flush = made("flush_size_bytes", "Size of the messages of one flush.", FLUSH_BUCKETS_BYTES, ["server"]);
    this.#fence = made(
      "fence_round_trip_seconds",
      "Time from a flush to the acknowledgement of the fence behind it.",
      FENCE_BUCKETS_SECONDS,
      ["server"],
    );
    this.#latency = made(
      "publish_to_fence_seconds",
      "Age of the oldest publication of a flush when its fence is acknowledged, for live clients.",
      LATENCY_BUCKETS_SECONDS,
      ["server"],
    );
    this.#lag = made(
      "event_loop_lag_seconds",
      "Delay of the event loop: how late a timer of 100 ms is.",
      LAG_BUCKETS_SECONDS,
      [],
    );
  }

  /** Creates the series of a server, before its first observation. */
  addServer(server: string): void {
    for (const histogram of [this.#flush, this.#fence, this.#latency]) histogram.zero({ server });
  }

  flush(server: string, bytes: number): void {
    this.#flush.observe({ server }, bytes);
  }

  /** Milliseconds. */
  fence(server: string, ms: number): void {
    this.#fence.observe({ server }, ms / 1000);
  }

  /** Milliseconds. */
  latency(server: string, ms: number): void {
    this.#latency.observe({ server }, ms / 1000);
  }

  /** Milliseconds. */
  lag(ms: number): void {
    this.#lag.observe({}, ms / 1000);
  }
}
