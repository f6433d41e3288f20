/** Opens the bus and the history of a daemon in a cluster, over one stream. Imported only where a cluster is configured. */
import { randomUUID } from "node:crypto";
import type { Config } from "../config/schema.js";
import type { KeyLimits } from "../delivery/recent-keys.js";
import { M2pushError } from "../errors.js";
import type { Clock } from "../util/clock.js";
import { ClusterBus } from "./cluster-bus.js";
import type { StreamObserver } from "./cluster-conditions.js";
import { ClusterHistory, type MakeTail } from "./cluster-history.js";
import { natsDial } from "./nats.js";
import { natsOptions } from "./nats-options.js";
import { Nodes } from "./nodes.js";
import { StreamCheckpoint } from "./stream-checkpoint.js";
import type { Dial } from "./stream-session.js";

export interface ClusterOptions extends StreamObserver {
  readonly clock: Clock;
  readonly tail: MakeTail;
  readonly keys?: KeyLimits;
  readonly newEpoch: () => string;
  /** Folder of the stream checkpoint; absent = none is written, and the daemon cannot start while NATS is disconnected. */
  readonly folder: string | undefined;
  readonly stream: string;
  /** What this daemon broadcasts about itself. */
  readonly about: () => { readonly name: string; readonly version: string; readonly clients: number };
  readonly warn: (warning: string) => void;
  /** See ClusterBusOptions. */
  readonly warmupMessages?: number;
  /** Aborts the wait for NATS. */
  readonly signal?: AbortSignal | undefined;
}

export interface Cluster {
  readonly bus: ClusterBus;
  readonly nodes: Nodes;
  readonly history: ClusterHistory;
  close(): Promise<void>;
}

/** How long a daemon with a checkpoint waits for NATS before it serves from there. */
const CONNECT_TIMEOUT_MS = 1000;

/** Rejects with "config_invalid", or with "unavailable" when `signal` ends the waiting for a first answer of NATS. */
export function connectNats(
  config: Pick<Config, "cluster" | "history">,
  options: Omit<ClusterOptions, "stream">,
): Promise<Cluster> {
  const nats = natsOptions(config);
  return openCluster(natsDial(nats, options.clock), { ...options, stream: nats.stream });
}

export async function openCluster(dial: Dial, options: ClusterOptions): Promise<Cluster> {
  const { clock, tail, keys, newEpoch, folder, stream, about, warn, changed, refused, signal, warmupMessages } =
    options;
  const history = new ClusterHistory({
    clock,
    tail,
    keys,
    onForeignMessage: (sequence, why) => bus.reportForeignMessage(sequence, why),
  });
  const id = randomUUID();
  const state = () => ({ ...about(), epoch: history.epoch, position: history.last });
  const nodes = new Nodes({ clock, id, state });
  const bus = new ClusterBus({
    ...{ dial, clock, history, nodes, newEpoch, name: id, random: Math.random },
    ...{ warn, changed, refused, warmupMessages },
  });
  const checkpoint = folder === undefined ? undefined : new StreamCheckpoint(folder, stream);
  const checkpointFailed = (error: unknown) => warn(`cannot write the stream checkpoint: ${String(error)}`);
  const close = async () => {
    await bus.close();
    await history.close();
    checkpoint?.close(bus.location, checkpointFailed);
  };
  const opened = bus.open(checkpoint?.read(), CONNECT_TIMEOUT_MS);
  await Promise.race([opened, aborted(signal)]);
  if (signal?.aborted) {
    await close();
    throw new M2pushError("unavailable", "stopped while disconnected from NATS");
  }
  checkpoint?.start(() => bus.location, clock, checkpointFailed);
  return { bus, nodes, history, close };
}

function aborted(signal: AbortSignal | undefined): Promise<void> {
  if (!signal) return new Promise(() => {});
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
}
