/**
 * Shares of the file descriptors for each part of the daemon. Together they never use up the limit: without a free descriptor the process
 * accepts no connection, not even a probe of /healthz.
 */
import { readdirSync, readFileSync } from "node:fs";
import type { Clock } from "./clock.js";
import type { Condition, Conditions } from "./conditions.js";

/** If the limit is unknown: the usual soft limit of Linux. */
const UNKNOWN_LIMIT_COUNT = 1024;
/** For files, timers and listening sockets of the process. */
const OWN_DESCRIPTOR_COUNT = 64;
/** For each Mongrel2: both sockets of the link (several peers where they are bound), and the control port. */
const SERVER_DESCRIPTOR_COUNT = 16;
/** The admin address gets a quarter of the remaining descriptors, within these limits. */
const MIN_ADMIN_COUNT = 8;
const MAX_ADMIN_COUNT = 100;
const MIN_PUBLISHER_COUNT = 8;

/** Numbers of simultaneous connections. */
interface DescriptorShares {
  readonly admin: number;
  readonly publishers: number;
}

/** The soft RLIMIT_NOFILE. Node.js raises it to the hard limit at its start. */
export function descriptorLimit(read: () => string = () => readFileSync("/proc/self/limits", "latin1")): number {
  try {
    const [, soft] = /^Max open files +(\d+|unlimited)/m.exec(read()) ?? [];
    if (soft === "unlimited") return Number.MAX_SAFE_INTEGER;
    return soft === undefined ? UNKNOWN_LIMIT_COUNT : Number(soft);
  } catch {
    return UNKNOWN_LIMIT_COUNT; // no /proc
  }
}

/** Open descriptors of this process; undefined = there is no /proc. */
export function openDescriptors(): number | undefined {
  try {
    return readdirSync("/proc/self/fd").length - 1; // one is that of the folder
  } catch {
    return undefined; // no /proc
  }
}

/** `servers`: number of [[mongrel2]] tables. */
export function descriptorShares(limit: number, servers: number): DescriptorShares {
  const free = limit - OWN_DESCRIPTOR_COUNT - servers * SERVER_DESCRIPTOR_COUNT;
  const admin = Math.max(MIN_ADMIN_COUNT, Math.min(MAX_ADMIN_COUNT, Math.floor(free / 4)));
  return { admin, publishers: Math.max(MIN_PUBLISHER_COUNT, free - admin) };
}

/** The condition ends when the cap was not reached for so long. */
const RECOVERED_AFTER_MS = 10_000;

/** Limit for the connections of one address. The condition "overloaded" lasts while it is reached. */
export class ConnectionCap {
  readonly maxConnections: number;
  readonly #clock: Clock;
  readonly #conditions: Conditions;
  readonly #condition: Condition;
  #reachedAt = Number.NEGATIVE_INFINITY;
  #count = 0;
  #cancel: (() => void) | undefined;

  /** `about`: subject and texts of the condition. */
  constructor(
    maxConnections: number,
    {
      clock,
      conditions,
      ...about
    }: Pick<Condition, "subject" | "message" | "fix"> & {
      readonly clock: Clock;
      readonly conditions: Conditions;
    },
  ) {
    this.maxConnections = maxConnections;
    this.#clock = clock;
    this.#conditions = conditions;
    this.#condition = { code: "overloaded", ...about };
  }

  /** A connection was above the limit: it, or another one, was closed. */
  readonly limitReached = (): void => {
    this.#reachedAt = this.#clock.monotonic();
    this.#count++;
    if (this.#cancel) return;
    this.#report();
    this.#cancel = this.#clock.every(RECOVERED_AFTER_MS, () => this.#check());
  };

  close(): void {
    this.#cancel?.();
    this.#cancel = undefined;
  }

  #report(): void {
    this.#conditions.begin({
      ...this.#condition,
      details: { maxConnections: this.maxConnections, refused: this.#count },
    });
  }

  #check(): void {
    if (this.#clock.monotonic() - this.#reachedAt < RECOVERED_AFTER_MS) {
      this.#report();
      return;
    }
    this.close();
    this.#conditions.end("overloaded", this.#condition.subject);
  }
}
