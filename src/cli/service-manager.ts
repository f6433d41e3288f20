/**
 * Tells systemd about the daemon (sd_notify(3); Type=notify in the unit). Node.js has no Unix datagram sockets, so that `systemd-notify`
 * sends each message (NotifyAccess=all). A shell that is started with the daemon starts it: a fork of the daemon itself would stop the
 * event loop for 55 ms with 500 MB of memory, and for 170 ms with 1.5 GB. Without a service manager there is no shell.
 */
import { spawn } from "node:child_process";
import type { Logger } from "../observability/log/logger.js";
import { type Cancel, type Clock, waitAtMost } from "../util/clock.js";

/**
 * The daemon counts as started this long after its start at the latest, even if no Mongrel2 has answered: it serves one as soon as it
 * comes, and `systemctl start` must not fail for its absence. Shorter than systemd's DefaultTimeoutStartSec (90 s).
 */
const READY_TIMEOUT_MS = 60_000;
const PROGRAM = "systemd-notify";
/** Sends each line of its input as a message; ends when one cannot be sent, and at the end of its input. */
const RELAY = `while read -r message; do ${PROGRAM} "$message" || exit; done`;

/** Sends one assignment, such as "READY=1", to systemd. */
export type Notify = (assignment: string) => void;

export interface ServiceManagerOptions {
  /** NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID are read; see sd_notify(3) and sd_watchdog_enabled(3). */
  readonly env: NodeJS.ProcessEnv;
  readonly clock: Clock;
  readonly log: Logger;
  /** Starts what sends; `failed` is called when it ends. Absent = systemd-notify, through a shell. */
  readonly open?: (failed: (cause: Error) => void) => Notify;
}

export class ServiceManager {
  readonly #options: ServiceManagerOptions;
  /** Undefined = there is no service manager. */
  readonly #notify: Notify | undefined;
  #stopWatchdog: Cancel = () => {};
  #isStopping = false;

  /** Create it before the daemon, whose memory a later fork would have to copy. */
  constructor(options: ServiceManagerOptions) {
    this.#options = options;
    const { env, open = openRelay } = options;
    this.#notify = env.NOTIFY_SOCKET ? open((cause) => this.#failed(cause)) : undefined;
  }

  /** Reports the end of the start when `live` resolves, or after READY_TIMEOUT_MS. Feeds the watchdog from now on. */
  async started(live: Promise<void>): Promise<void> {
    if (!this.#notify) return;
    this.#feedWatchdog(this.#notify);
    let isLive = false;
    void live.then(() => {
      isLive = true;
      this.#ready("Mongrel2 is connected");
    });
    await waitAtMost(this.#options.clock, READY_TIMEOUT_MS, live);
    if (!isLive) this.#ready("waiting for Mongrel2, which has not answered yet");
  }

  #ready(status: string): void {
    if (this.#isStopping) return;
    this.#notify?.(`STATUS=${status}`);
    this.#notify?.("READY=1");
  }

  /** Brackets a reload of the configuration. */
  reloading(reload: () => void): void {
    this.#notify?.("RELOADING=1");
    reload();
    this.#notify?.("READY=1");
  }

  /** The daemon begins to stop. The watchdog is fed until close(): a stop that hangs is noticed too. */
  stopping(): void {
    this.#isStopping = true;
    this.#notify?.("STOPPING=1");
  }

  close(): void {
    this.#stopWatchdog();
  }

  /** From a timer of the event loop, so that a loop that hangs is noticed (sd_watchdog_enabled(3) recommends half the interval). */
  #feedWatchdog(notify: Notify): void {
    const { WATCHDOG_USEC: microseconds, WATCHDOG_PID: pid = String(process.pid) } = this.#options.env;
    const intervalMs = Number(microseconds) / 1000;
    if (!(intervalMs > 0) || pid !== String(process.pid)) return;
    this.#stopWatchdog = this.#options.clock.every(intervalMs / 2, () => notify("WATCHDOG=1"));
  }

  #failed(cause: Error): void {
    this.close();
    const fix = `install the program ${PROGRAM} (Debian: systemd), or set Type=exec and no WatchdogSec in the unit`;
    this.#options.log.error({ event: "service_manager_failed", err: cause, fix }, "systemd cannot be notified");
  }
}

function openRelay(failed: (cause: Error) => void): Notify {
  const relay = spawn("sh", ["-c", RELAY], { stdio: ["pipe", "ignore", "ignore"] });
  // A relay that has ended is reported by "exit"; without this listener its broken pipe would end the daemon.
  relay.stdin.on("error", () => {});
  relay.once("error", failed);
  relay.once("exit", (code, signal) => failed(new Error(`${PROGRAM} ended with ${signal ?? `exit code ${code}`}`)));
  // The relay does not keep the daemon from ending.
  relay.unref();
  return (assignment) => relay.stdin.write(`${assignment}\n`);
}
