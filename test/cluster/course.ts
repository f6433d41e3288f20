/** A stream, and what it takes to be one of those who share it. */
import type { TestContext } from "node:test";
import type { NatsOptions } from "../../src/cluster/nats-connection.js";
import { type Cluster, type ClusterOptions, openCluster } from "../../src/cluster/open-cluster.js";
import type { Dial } from "../../src/cluster/stream-session.js";
import { MemoryHistory, newEpoch } from "../../src/storage/memory/memory-history.js";
import { type Clock, systemClock } from "../../src/util/clock.js";
import { Changes } from "../support/deadline.js";

/** Fewer in memory than tests publish, so that they read from the stream as well. */
const TAIL = { maxEvents: 64, maxAge: 1e15, maxBytes: 1e9 };

export const ALL = { maxEvents: 1_000_000, maxAge: 3_600_000, maxBytes: 100_000_000 };

export function natsOptions(url: string, more: Partial<NatsOptions> = {}): NatsOptions {
  return { servers: [url], stream: "test", replicas: 1, inMemory: false, limits: ALL, ...more };
}

export interface OpenEnd extends Cluster {
  readonly warnings: string[];
  /** What was said of the connection: why it is away, or undefined = it is there. */
  readonly changes: (string | undefined)[];
  /** What was said of the storage: why the stream refuses, or undefined = it stores again. */
  readonly refusals: (string | undefined)[];
  /** Resolves when the stream is followed. */
  up(): Promise<void>;
  /** Resolves when a refusal is over. */
  storing(): Promise<void>;
  /** Resolves when something that it warned of fits. */
  warned(of: RegExp): Promise<void>;
}

/** Opens one daemon's end; it is closed when the test ends. */
export async function openEnd(
  t: Pick<TestContext, "after">,
  dial: Dial,
  options: Partial<ClusterOptions> = {},
): Promise<OpenEnd> {
  const warnings: string[] = [];
  const changes: (string | undefined)[] = [];
  const refusals: (string | undefined)[] = [];
  const told = new Changes();
  const clock = options.clock ?? systemClock;
  const cluster = await openCluster(dial, {
    clock,
    tail: (from) => new MemoryHistory(TAIL, clock, from),
    newEpoch,
    folder: undefined,
    stream: "test",
    about: () => ({ name: "one", version: "0", clients: 0 }),
    warn(warning) {
      warnings.push(warning);
      told.tell();
    },
    changed(why) {
      changes.push(why);
      told.tell();
    },
    refused(why) {
      refusals.push(why);
      told.tell();
    },
    ...options,
  });
  t.after(() => cluster.close());
  const up = () => told.until(() => changes.length > 0 && changes.at(-1) === undefined, "the stream to be followed");
  const warned = async (of: RegExp) => {
    await told.until(() => warnings.some((it) => of.test(it)), `a warning of ${of}; there are: ${warnings}`, 25_000);
  };
  const isStoring = () => refusals.length > 0 && refusals.at(-1) === undefined;
  const storing = async () => void (await told.until(isStoring, "the end of a refusal"));
  return Object.assign(cluster, { warnings, changes, refusals, up: async () => void (await up()), storing, warned });
}

/** The machine's clock, accelerated by a factor. */
export function hurried(times: number): Clock {
  return {
    now: systemClock.now,
    monotonic: () => systemClock.monotonic() * times,
    after: (ms, run) => systemClock.after(ms / times, run),
    every: (ms, run) => systemClock.every(ms / times, run),
  };
}
