/**
 * How many connections each part of the daemon may have, so that all together never use up the file descriptors of the process: with
 * none left nothing can be accepted any more, not even a probe that asks /healthz.
 */
import { readFileSync } from "node:fs";
import type { Clock } from "./clock.js";
import type { Condition, Conditions } from "./conditions.js";

/** Where nobody says how many files may be open: Linux's usual soft limit. */
const UNKNOWN_LIMIT_COUNT = 1024;
/** Files, timers and listening sockets of the process itself. */
const OWN_DESCRIPTOR_COUNT = 64;
/** For each Mongrel2: both sockets of the link (several peers where they are bound), and the control port. */
const SERVER_DESCRIPTOR_COUNT = 16;
/** A quarter of what is left is the admin address's, within these. */
const ADMIN_CONNECTIONS = { least: 8, most: 100 };
const MIN_PUBLISHER_COUNT = 8;

/** Connections at a time. */
export interface DescriptorShares {
  readonly admin: number;
  readonly publishers: number;
}

/** RLIMIT_NOFILE, soft. Node.js raises it to the hard limit when it starts. */
export function descriptorLimit(read: () => string = () => readFileSync("/proc/self/limits", "latin1")): number {
  try {
    const [, soft] = /^Max open files +(\d+|unlimited)/m.exec(read()) ?? [];
    if (soft === "unlimited") return Number.MAX_SAFE_INTEGER;
    return soft === undefined ? UNKNOWN_LIMIT_COUNT : Number(soft);
  } catch {
    return UNKNOWN_LIMIT_COUNT; // no /proc
  }
}

/** `servers`: how many Mongrel2 there are. */
export function descriptorShares(limit: number, servers: number): DescriptorShares {
  const free = limit - OWN_DESCRIPTOR_COUNT - servers * SERVER_DESCRIPTOR_COUNT;
  const { least, most } = ADMIN_CONNECTIONS;
  const admin = Math.max(least, Math.min(most, Math.floor(free / 4)));
  return { admin, publishers: Math.max(MIN_PUBLISHER_COUNT, free - admin) };
}

/** A cap that was not reached for so long is no problem any more. */
const RECOVERED_AFTER_MS = 10_000;

/** The connections that one address may have at a time; reaching that is a standing problem for as long as it goes on. */
export class ConnectionCap {
  readonly maxConnections: number;
  readonly #clock: Clock;
  readonly #conditions: Conditions;
  readonly #condition: Condition;
  #reachedAt = Number.NEGATIVE_INFINITY;
  #count = 0;
  #cancel: (() => void) | undefined;

  /** `about`: what is told, "overloaded". */
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

  /** One connection was one too many: it, or another, was closed. */
  readonly limitReached = (): void => {
    this.#reachedAt = this.#clock.monotonic();
    this.#count++;
    if (this.#cancel) return;
    this.#tell();
    this.#cancel = this.#clock.every(RECOVERED_AFTER_MS, () => this.#look());
  };

  close(): void {
    this.#cancel?.();
    this.#cancel = undefined;
  }

  #tell(): void {
    this.#conditions.begin({
      ...this.#condition,
      details: { maxConnections: this.maxConnections, refused: this.#count },
    });
  }

  #look(): void {
    if (this.#clock.monotonic() - this.#reachedAt < RECOVERED_AFTER_MS) {
      this.#tell();
      return;
    }
    this.close();
    this.#conditions.end("overloaded", this.#condition.subject);
  }
}
