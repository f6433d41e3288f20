/** One timer for each client whose token expires. */
import type { Cancel, Clock } from "../util/clock.js";
import type { Client } from "./client.js";

/** The longest timer: Node's reach 24 days, and the wall clock may be changed meanwhile. */
const MAX_TIMER_MS = 3_600_000;

export class Expiry {
  readonly #clock: Clock;
  readonly #expired: (client: Client) => void;
  readonly #timers = new Map<Client, Cancel>();

  /** `expired` is called, in a later turn, when a watched client's token has expired. */
  constructor(clock: Clock, expired: (client: Client) => void) {
    this.#clock = clock;
    this.#expired = expired;
  }

  /** Does nothing for a client that never expires. */
  watch(client: Client): void {
    if (client.expiresAt === undefined) return;
    const left = client.expiresAt - this.#clock.now();
    const due = () => (left > MAX_TIMER_MS ? this.watch(client) : this.#expired(client));
    this.#timers.set(client, this.#clock.after(Math.max(0, Math.min(left, MAX_TIMER_MS)), due));
  }

  forget(client: Client): void {
    this.#timers.get(client)?.();
    this.#timers.delete(client);
  }

  /** Cancels all timers. */
  clear(): void {
    for (const cancel of this.#timers.values()) cancel();
    this.#timers.clear();
  }
}
