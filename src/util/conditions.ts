/**
 * Standing problems of the daemon: each begins once, lasts, and ends once. One place feeds log, /readyz, /status and the metric
 * `m2push_condition`, so that they cannot contradict each other. A part that notices a problem calls begin() as often as it
 * notices it, and end() when the problem is over; neither needs to know what was reported before.
 */
import type { Clock } from "./clock.js";

/** Every problem that can last. Labels of a metric: a closed set. */
export const CONDITION_CODES = [
  /** The TCP or IPC connection to Mongrel2 cannot be made, or was refused. */
  "link_failed",
  /** Mongrel2 takes messages but does not answer fences. */
  "mongrel2_silent",
  /** The control port is configured and does not answer. */
  "control_unreachable",
  /** Connections of an earlier process or link are not decided yet. */
  "adoption_undecided",
  /** Connections of an earlier process of which nobody can tell whose they are. */
  "orphans_unknown",
  /** Another daemon reads requests from the same send_spec. */
  "second_daemon",
  /** Private events are not served: nothing proves that a connection id is still the same connection. */
  "private_refused",
  /** Publications cannot be stored. */
  "storage_failing",
  /** The history cannot be read: clients that catch up wait. */
  "history_read_failing",
  /** The record of clients cannot be written: the next process may close their streams. */
  "client_record_failing",
  /** NATS cannot be reached. */
  "cluster_unavailable",
  /** A limit on work or descriptors is reached: new clients or peers are refused. */
  "overloaded",
] as const;

export type ConditionCode = (typeof CONDITION_CODES)[number];

export interface Condition {
  readonly code: ConditionCode;
  /** The server ([[mongrel2]] name), address or file that it is about; "" = the daemon. With the code, it names the condition. */
  readonly subject: string;
  /** What happened, for the log and /status. */
  readonly message: string;
  /** What to do about it. */
  readonly fix: string;
  /** Whether /readyz answers 503 while it lasts. */
  readonly blocksReadiness: boolean;
  /** Level of the log line when it begins. Absent = "warn", or "error" where it blocks readiness. */
  readonly level?: "error" | "warn" | "info";
  /** Further members of the log line: counts, causes. */
  readonly details?: Readonly<Record<string, unknown>>;
}

export interface ActiveCondition extends Condition {
  /** Wall-clock time, milliseconds since 1970. */
  readonly since: number;
}

export interface ConditionObserver {
  conditionBegan(condition: ActiveCondition): void;
  /** After so many milliseconds. */
  conditionEnded(condition: ActiveCondition, milliseconds: number): void;
}

interface Entry {
  condition: ActiveCondition;
  /** Monotonic. */
  readonly began: number;
}

export class Conditions {
  readonly #clock: Clock;
  readonly #observer: ConditionObserver;
  readonly #active = new Map<string, Entry>();

  constructor(clock: Clock, observer: ConditionObserver) {
    this.#clock = clock;
    this.#observer = observer;
  }

  /** Reports a problem. While it lasts, a further call only renews what /status shows (message, fix, details). */
  begin(condition: Condition): void {
    const key = keyOf(condition.code, condition.subject);
    const known = this.#active.get(key);
    if (known) {
      known.condition = { ...condition, since: known.condition.since };
      return;
    }
    const active = { ...condition, since: this.#clock.now() };
    this.#active.set(key, { condition: active, began: this.#clock.monotonic() });
    this.#observer.conditionBegan(active);
  }

  /** The problem is over; nothing happens where it never began. */
  end(code: ConditionCode, subject: string): void {
    const key = keyOf(code, subject);
    const known = this.#active.get(key);
    if (!known) return;
    this.#active.delete(key);
    this.#observer.conditionEnded(known.condition, this.#clock.monotonic() - known.began);
  }

  has(code: ConditionCode, subject: string): boolean {
    return this.#active.has(keyOf(code, subject));
  }

  /** In the order in which they began. */
  get active(): readonly ActiveCondition[] {
    return [...this.#active.values()].map(({ condition }) => condition);
  }
}

const keyOf = (code: ConditionCode, subject: string): string => `${code} ${subject}`;
