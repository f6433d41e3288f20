/** Runs the daemon until a signal stops it, for `serve` and `up`. */
import type { Command } from "commander";
import type { Config } from "../config/schema.js";
import type { Daemon } from "../daemon/daemon-api.js";
import { startDaemon } from "../daemon.js";
import { M2pushError } from "../errors.js";
import { type Logger, openLog } from "../observability/log/logger.js";
import { systemClock } from "../util/clock.js";
import { endOnInternalError } from "./fatal.js";
import { loadFor } from "./options.js";
import { endOnOutputError } from "./output-error.js";
import { ServiceManager } from "./service-manager.js";

/** A process that runs beside the daemon: it is started after the daemon and stopped after it. */
export interface Sidecar {
  /** Prepares the daemon's start. Resolves with a function that completes each loaded configuration. */
  prepare(): Promise<(config: Config) => Config>;
  start(): Promise<void>;
  stop(): Promise<void>;
}

/**
 * Loads the configuration and runs the daemon until SIGINT or SIGTERM; a second signal ends the process at once with exit code 1.
 * SIGHUP reloads the configuration. A signal that arrives during the start takes effect after it.
 */
export async function runDaemon(
  command: Command,
  createSidecar?: (log: Logger, config: Config) => Sidecar,
): Promise<void> {
  const { config: loaded } = loadFor(command);
  process.stdout.off("error", endOnOutputError);
  const log = openLog(loaded.log.level, { format: loaded.log.format });
  endOnInternalError(log);
  const manager = new ServiceManager({ env: process.env, clock: systemClock, log });
  const signalled = firstSignal();
  const onReload = listenForReload();
  const sidecar = createSidecar?.(log, loaded);
  const adjust = (await sidecar?.prepare()) ?? ((config: Config) => config);
  const { drain = false, takeover = false } = command.opts<{ drain?: true; takeover?: true }>();
  const stopped = new AbortController();
  void signalled.then(() => stopped.abort());
  const daemon = await startDaemon(adjust(loaded), { log, drain, takeover, signal: stopped.signal });
  onReload(() => manager.reloading(() => reload(() => adjust(loadFor(command).config), daemon, log)));
  try {
    await sidecar?.start();
    void manager.started(daemon.live);
    log.info({ event: "stopping", signal: await signalled }, "stopping; a second signal exits immediately");
  } finally {
    manager.stopping();
    await daemon.stop();
    await sidecar?.stop();
    manager.close();
    log.info({ event: "stopped" }, "m2push stopped");
  }
}

function firstSignal(): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    let first = true;
    const signalled = (signal: NodeJS.Signals) => {
      if (!first) process.exit(1);
      first = false;
      resolve(signal);
    };
    process.on("SIGINT", signalled);
    process.on("SIGTERM", signalled);
  });
}

/** Listens to SIGHUP. The returned function sets the handler, and calls it at once if a signal has already arrived. */
function listenForReload(): (handler: () => void) => void {
  let handle = () => {
    hasArrived = true;
  };
  let hasArrived = false;
  process.on("SIGHUP", () => handle());
  return (handler) => {
    handle = handler;
    if (hasArrived) handler();
  };
}

/** Applies the keys that can change at run time, and logs the names of the others. An invalid file changes nothing. */
function reload(read: () => Config, daemon: Daemon, log: Logger): void {
  try {
    const unchanged = daemon.reload(read());
    log.info({ event: "reloaded" }, "configuration reloaded");
    if (unchanged.length > 0)
      log.warn({ event: "reloaded", keys: unchanged }, "changed keys need a restart of the daemon");
  } catch (error) {
    if (!(error instanceof M2pushError)) throw error;
    log.error({ event: "reload_failed", reason: error.message }, "configuration not reloaded: it has errors");
  }
}
