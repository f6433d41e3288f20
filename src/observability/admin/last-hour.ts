/**
 * The figures of the last hour, so that a dashboard that is opened or reloaded shows them at once. Two rings of numbers: the last five minutes
 * by the second, and the hour before by ten seconds. At most 660 samples of 12 numbers: 70 kB of memory, about 40 kB of JSON for each
 * dashboard that connects. A sample costs 15 us a second, whether somebody watches or not; without an admin address there is none.
 */
import type { Cancel, Clock } from "../../util/clock.js";
import type { Counters } from "../metrics/counters.js";
import type { RateSampler } from "../metrics/rate-sampler.js";

/** The figures of a sample, in the order of its values. */
export const HOUR_FIGURES = [
  "clients",
  "publications",
  "deliveries",
  "connects",
  "disconnects",
  "bytes",
  "fenceRoundTripMs",
  "publishToFenceMs",
  "eventLoopLagMs",
  "gaps",
  "rejections",
] as const;

type Figure = (typeof HOUR_FIGURES)[number];
/** Null = unknown. */
export type Figures = Readonly<Record<Figure, number | null>>;

/** What a dashboard gets when it connects. */
export interface LastHour {
  readonly figures: readonly Figure[];
  /** Oldest first: the age in seconds, then the figures. */
  readonly samples: readonly (readonly (number | null)[])[];
}

export interface LastHourOptions {
  readonly clock: Clock;
  readonly figures: () => Figures;
}

interface Sample {
  /** Monotonic, milliseconds. */
  readonly at: number;
  readonly values: readonly (number | null)[];
}

const INTERVAL_MS = 1000;
export const MAX_FINE_SAMPLE_COUNT = 300;
/** Fine samples that become one coarse one. */
const MERGED_SAMPLE_COUNT = 10;
export const MAX_COARSE_SAMPLE_COUNT = 360;

export class LastHourRecorder {
  readonly #options: LastHourOptions;
  readonly #fine: Sample[] = [];
  readonly #coarse: Sample[] = [];
  /** Fine samples that are no longer kept by themselves and not yet merged. */
  #old: Sample[] = [];
  #cancel: Cancel | undefined;

  constructor(options: LastHourOptions) {
    this.#options = options;
  }

  start(): void {
    this.#cancel = this.#options.clock.every(INTERVAL_MS, () => this.#sample());
  }

  close(): void {
    this.#cancel?.();
    this.#cancel = undefined;
  }

  read(): LastHour {
    const now = this.#options.clock.monotonic();
    const samples = [...this.#coarse, ...this.#old, ...this.#fine];
    return { figures: HOUR_FIGURES, samples: samples.map(({ at, values }) => [round((now - at) / 1000), ...values]) };
  }

  #sample(): void {
    const { clock, figures } = this.#options;
    const now = figures();
    this.#fine.push({ at: clock.monotonic(), values: HOUR_FIGURES.map((name) => rounded(now[name])) });
    const oldest = this.#fine.length > MAX_FINE_SAMPLE_COUNT ? this.#fine.shift() : undefined;
    if (oldest) this.#old.push(oldest);
    if (this.#old.length < MERGED_SAMPLE_COUNT) return;
    this.#coarse.push(merged(this.#old));
    this.#old = [];
    if (this.#coarse.length > MAX_COARSE_SAMPLE_COUNT) this.#coarse.shift();
  }
}

/** The peaks: an operator looks for what went wrong, and a mean of ten seconds hides it. */
function merged(samples: readonly Sample[]): Sample {
  const values = HOUR_FIGURES.map((_, index) => {
    const known = samples.flatMap(({ values: them }) => them[index] ?? []);
    return known.length > 0 ? Math.max(...known) : null;
  });
  return { at: samples.at(-1)?.at ?? 0, values };
}

interface FigureParts {
  /** Clients connected to all servers. */
  readonly clients: number;
  readonly counters: Counters;
  readonly sampler: RateSampler;
}

/** The present figures; the slowest server counts for its delays. Gaps and rejections are those since the daemon began. */
export function figuresOf({ clients, counters, sampler }: FigureParts): Figures {
  const { publications, deliveries, connects, disconnects, bytes } = sampler.rates;
  const servers = [...counters.servers.values()];
  return {
    clients,
    ...{ publications, deliveries, connects, disconnects, bytes },
    fenceRoundTripMs: slowest(servers.map(({ fenceMs }) => fenceMs)),
    publishToFenceMs: slowest(servers.map(({ latencyMs }) => latencyMs)),
    eventLoopLagMs: sampler.lagMs,
    gaps: counters.gaps.total,
    rejections: counters.rejected.total,
  };
}

function slowest(values: readonly (number | undefined)[]): number | null {
  const known = values.filter((value) => value !== undefined);
  return known.length > 0 ? Math.max(...known) : null;
}

const rounded = (value: number | null): number | null => value && round(value);

/** To one decimal place. */
const round = (value: number): number => Math.round(value * 10) / 10;
