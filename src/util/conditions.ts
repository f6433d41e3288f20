/**
 * Conditions: problems that last. Each begins once and ends once. One place feeds log, /readyz, /status and the metric
 * `m2push_condition`, so that they cannot contradict each other. A part that notices a problem calls begin() as often as it
 * notices it, and end() when the problem is over; neither needs to know what was reported before.
 */
import type { Clock } from "./clock.js";

/**
 * Every problem that can last, and whether /readyz answers 503 while it lasts. The codes are labels of a metric: a closed set.
 * docs/operating.md has one row for each.
 */
export const CONDITION_TYPES = {
  /** The TCP or IPC connection to Mongrel2 cannot be made, or was refused. */
  link_failed: { blocksReadiness: true },
  /** Mongrel2 takes messages but does not answer fences. */
  mongrel2_silent: { blocksReadiness: true },
  /** The control port is configured and does not answer. */
  control_unreachable: { blocksReadiness: false },
  /** Connections of an earlier process or link are not decided yet. */
  adoption_undecided: { blocksReadiness: false },
  /** Connections of an earlier process may belong to this application or to another one. */
  orphans_unknown: { blocksReadiness: false },
  /** Another daemon reads requests from the same send_spec. */
  second_daemon: { blocksReadiness: true },
  /** Private events are not served: nothing proves that a connection id is still the same connection. */
  private_refused: { blocksReadiness: false },
  /** Publications cannot be stored. */
  storage_failing: { blocksReadiness: true },
  /** The history cannot be read: clients that catch up wait. */
  history_read_failing: { blocksReadiness: true },
  /** The record of clients cannot be written: the next process may close their streams. */
  client_record_failing: { blocksReadiness: false },
  /** NATS cannot be reached. */
  cluster_unavailable: { blocksReadiness: true },
  /** The keys of an [[issuer]] cannot be read from its jwks_url: the last ones count. */
  issuer_unreachable: { blocksReadiness: false },
  /** The receiver of a [[webhook]] does not take events: they are stored. */
  webhook_failing: { blocksReadiness: false },
  /** Events for webhooks cannot be stored. */
  webhook_store_failing: { blocksReadiness: false },
  /** The collector of [traces] endpoint does not take spans: they are lost. */
  traces_failing: { blocksReadiness: false },
  /** A limit on work or descriptors is reached: new clients or peers are refused. */
  overloaded: { blocksReadiness: false },
} as const satisfies Readonly<Record<string, { readonly blocksReadiness: boolean }>>;

export type ConditionCode = keyof typeof CONDITION_TYPES;

/** Whether /readyz answers 503 while a condition of this code lasts. */
export const blocksReadiness = (code: ConditionCode): boolean => CONDITION_TYPES[code].blocksReadiness;

export interface Condition {
  readonly code: ConditionCode;
  /** The server ([[mongrel2]] name), address or file that it is about; "" = the daemon. With the code, it names the condition. */
  readonly subject: string;
  /** What happened, for the log and /status. */
  readonly message: string;
  /** What to do about it. */
  readonly fix: string;
  /** Level of the log line when it begins. Absent = "warn", or "error" where it blocks readiness. */
  readonly level?: "error" | "warn" | "info";
  /** Further members of the log line: counts, causes. */
  readonly details?: Readonly<Record<string, unknown>>;
}

export interface ActiveCondition extends Condition {
  /** Wall-clock time, milliseconds since 1970. */
  readonly since: number;
}

/** `milliseconds`: how long the condition lasted. */
export type ConditionEvent =
  | { readonly type: "conditionBegan"; readonly condition: ActiveCondition }
  | { readonly type: "conditionEnded"; readonly condition: ActiveCondition; readonly milliseconds: number };

interface Entry {
  condition: ActiveCondition;
  /** Monotonic. */
  readonly began: number;
}

export class Conditions {
  readonly #clock: Clock;
  readonly #observe: (event: ConditionEvent) => void;
  readonly #active = new Map<string, Entry>();

  constructor(clock: Clock, observe: (event: ConditionEvent) => void) {
    this.#clock = clock;
    this.#observe = observe;
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
    this.#observe({ type: "conditionBegan", condition: active });
  }

  /** The problem is over; nothing happens where it never began. */
  end(code: ConditionCode, subject: string): void {
    const key = keyOf(code, subject);
    const known = this.#active.get(key);
    if (!known) return;
    this.#active.delete(key);
    const milliseconds = this.#clock.monotonic() - known.began;
    this.#observe({ type: "conditionEnded", condition: known.condition, milliseconds });
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
