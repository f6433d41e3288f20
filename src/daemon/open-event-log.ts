/** Opens the history and the bus of a daemon: of this machine alone, or a JetStream stream that several daemons share. */
import { hostname } from "node:os";
import { LocalBus } from "../cluster/local-bus.js";
import type { ClientStore } from "../delivery/client-store.js";
import type { History } from "../delivery/history.js";
import type { KeyLimits } from "../delivery/recent-keys.js";
import { VisibleHistory } from "../delivery/visible-history.js";
import { openClientStore, withoutRecord } from "../storage/clients/open-client-store.js";
import { checkFolder, type FolderLock, lockFolder } from "../storage/folder-lock.js";
import { MemoryHistory, newEpoch } from "../storage/memory/memory-history.js";
import { openHistory } from "../storage/open-history.js";
import { storageConditions } from "../storage/storage-failure.js";
import { packageVersion } from "../util/package-version.js";
import type { DaemonContext, EventLog } from "./daemon-context.js";

/** How long a takeover waits for the other daemon to stop. */
const TAKEOVER_TIMEOUT_MS = 15_000;
/** The newest publications of a cluster's history stay in memory, within these limits. */
const TAIL = { maxEvents: 20_000, maxBytes: 16_000_000 };

const isAlone = ({ initial }: DaemonContext): boolean => initial.cluster.nats.length === 0;
const takeoverMs = ({ options }: DaemonContext): number => (options.takeover ? TAKEOVER_TIMEOUT_MS : 0);

/**
 * Locks the data folder for this process; undefined where the history locks it itself (LMDB without a cluster). With a history in
 * memory only the client record needs the folder: one that cannot be used does not keep the daemon from starting.
 */
export async function lockDataFolder(context: DaemonContext): Promise<FolderLock | undefined> {
  const { store, path } = context.initial.history;
  if (store === "lmdb" && isAlone(context)) return undefined;
  if (store === "memory" && checkFolder(path)) return undefined;
  const lock = await lockFolder(path, context.options.clock, takeoverMs(context));
  if (lock.warning !== undefined) context.options.log.warn({ event: "history" }, lock.warning);
  return lock;
}

/** Its history is the visible one. */
export async function openEventLog(context: DaemonContext): Promise<EventLog> {
  const log = await (isAlone(context) ? openLocal(context) : openShared(context));
  return { ...log, history: new VisibleHistory(log.history, context.options.clock) };
}

/** Its history is all that is stored. */
type StoredLog = Omit<EventLog, "history"> & { readonly history: History };

async function openLocal(context: DaemonContext): Promise<StoredLog> {
  const { conditions, options } = context;
  const { clock, log } = options;
  const { store, path, durability, ...limits } = context.initial.history;
  const { max_events: maxEvents, max_age: maxAge, max_bytes: maxBytes } = limits;
  const history = await openHistory(
    {
      ...{ store, path, durability, maxEvents, maxAge, maxBytes, keys: keyLimits(context) },
      takeover: takeoverMs(context),
      warn: (warning) => log.warn({ event: "history" }, warning),
      observer: storageConditions(conditions, durability === "memory"),
    },
    clock,
  );
  return { history, bus: new LocalBus(history, clock), close: () => history.close() };
}

function keyLimits({ initial, observe }: DaemonContext): KeyLimits {
  const { idempotency_window: windowMs, max_keys: maxKeys } = initial.publish;
  return { windowMs, maxKeys, onEvicted: (count) => observe({ type: "keysEvicted", count }) };
}

async function openShared(context: DaemonContext): Promise<StoredLog> {
  const { initial: config, conditions, state, options } = context;
  const { log, clock, signal } = options;
  const { store, path, max_age: maxAge } = config.history;
  const [{ connectNats }, { clusterConditions }] = await Promise.all([
    import("../cluster/open-cluster.js"),
    import("../cluster/cluster-conditions.js"),
  ]);
  const folder = store === "lmdb" ? path : undefined;
  const [name, version] = [`${hostname()}/${process.pid}`, packageVersion()];
  return connectNats(config, {
    ...{ clock, folder, newEpoch, signal },
    ...clusterConditions(conditions),
    tail: (from) => new MemoryHistory({ ...TAIL, maxAge }, clock, from),
    keys: keyLimits(context),
    about: () => {
      const live = state.servers.filter(({ link }) => link.live).length;
      return { name, version, clients: state.clients, mongrel2: { total: state.servers.length, live } };
    },
    warn: (warning) => log.warn({ event: "cluster" }, warning),
  });
}

/** The client record is on disk for every kind of history. */
export async function openClients(context: DaemonContext, epoch: string): Promise<ClientStore> {
  const { conditions, options } = context;
  const { store, path: folder } = context.initial.history;
  const unusable = store === "memory" ? checkFolder(folder) : undefined;
  if (unusable) return withoutRecord(folder, unusable, options.clock, conditions);
  const warn = (warning: string) => options.log.warn({ event: "client_record" }, warning);
  return openClientStore({ folder, epoch, clock: options.clock, conditions, warn });
}
