/** What `serve` and `up` share: a daemon that runs until a signal ends it. */
import type { Command } from "commander";
import type { Config } from "../config/schema.js";
import { type Daemon, startDaemon } from "../daemon.js";
import { M2pushError } from "../errors.js";
import { type Logger, openLog } from "../observability/log/logger.js";
import { endOnInternalError } from "./fatal.js";
import { loadFor } from "./options.js";
import { endOnOutputError } from "./output-error.js";

/** Something that runs beside the daemon: started after it, stopped after it. */
export interface Sidecar {
  /** Makes what the daemon needs, and returns what turns a configuration that was read into the one that it is to have. */
  prepare(): Promise<(config: Config) => Config>;
  start(): Promise<void>;
  stop(): Promise<void>;
}

/**
 * Loads the configuration and runs the daemon until SIGINT or SIGTERM; a second signal ends the process at once (exit code
 * 1). SIGHUP reads the configuration again. Signals are listened to from the first moment: one that comes during the start
 * is obeyed when the start is over.
 */
export async function runDaemon(command: Command, beside?: (log: Logger, config: Config) => Sidecar): Promise<void> {
  const { config: loaded } = loadFor(command);
  process.stdout.off("error", endOnOutputError);
  const log = openLog(loaded.log.level);
  endOnInternalError(log);
  const signalled = firstSignal();
  const reloads = hangUps();
  const companion = beside?.(log, loaded);
  const adjust = (await companion?.prepare()) ?? ((config: Config) => config);
  const { drain = false, takeover = false } = command.opts<{ drain?: true; takeover?: true }>();
  const stopped = new AbortController();
  void signalled.then(() => stopped.abort());
  const daemon = await startDaemon(adjust(loaded), { log, drain, takeover, signal: stopped.signal });
  reloads(() => reload(() => adjust(loadFor(command).config), daemon, log));
  try {
    await companion?.start();
    log.info({ event: "stopping", signal: await signalled }, "stopping; a second signal stops at once");
  } finally {
    await daemon.stop();
    await companion?.stop();
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

/** Listens to SIGHUP: what it returns is told what to do then, and does it at once if one has come. */
function hangUps(): (obey: () => void) => void {
  let obeyed = () => {
    hasCome = true;
  };
  let hasCome = false;
  process.on("SIGHUP", () => obeyed());
  return (obey) => {
    obeyed = obey;
    if (hasCome) obey();
  };
}

/** Takes over what may change; names what may not. A faulty file changes nothing. */
function reload(read: () => Config, daemon: Daemon, log: Logger): void {
  try {
    const waiting = daemon.reload(read());
    log.info({ event: "reloaded" }, "configuration read again");
    if (waiting.length > 0) log.warn({ event: "reloaded", keys: waiting }, "these keys change only with a restart");
  } catch (error) {
    if (!(error instanceof M2pushError)) throw error;
    log.error({ event: "reload_failed", why: error.message }, "configuration not changed");
  }
}
