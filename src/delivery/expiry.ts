/** When clients may see no more: a timer for each that has an end. */
import type { Cancel, Clock } from "../util/clock.js";
import type { Client } from "./client.js";

/** The longest that one timer is set for, milliseconds: Node's reach 24 days, and the wall clock may be moved meanwhile. */
const LONGEST = 3_600_000;

export class Expiry {
  readonly #clock: Clock;
  readonly #timers = new Map<Client, Cancel>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Calls `ended` when the client's time is over; at once, in a later turn, if it is already. Nothing if it has no end. */
  watch(client: Client, ended: () => void): void {
    if (client.expiresAt === undefined) return;
    const left = client.expiresAt - this.#clock.now();
    const due = () => (left > LONGEST ? this.watch(client, ended) : ended());
    this.#timers.set(client, this.#clock.after(Math.max(0, Math.min(left, LONGEST)), due));
  }

  forget(client: Client): void {
    this.#timers.get(client)?.();
    this.#timers.delete(client);
  }

  close(): void {
    for (const cancel of this.#timers.values()) cancel();
    this.#timers.clear();
  }
}
