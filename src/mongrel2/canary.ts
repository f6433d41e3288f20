/**
 * Detects early that Mongrel2 has restarted behind a ZeroMQ proxy (bind = true) without a control port. A restarted Mongrel2 counts its
 * connections from 1 again (docs/architecture/mongrel2.md 2.7), so a request arrives on an id that is not above the highest. A
 * kept connection does the same, so such a request proves nothing: it only triggers a check.
 *
 * The check sends a keep-alive to the streams with the highest ids, as many as one message names, and then a fence. Mongrel2
 * returns a notice for each dead id, and the hub removes its client, as in the keep-alive sweep: the check cannot close a live
 * stream. While some ids were dead, the next lower ones are checked. New clients may hold all of the ids, so the result
 * never proves that Mongrel2 is the same.
 *
 * Without the canary the dead streams are found within `[stream] keepalive` (45 s). Until then a browser that gets the id of a dead
 * stream is disconnected once and has to reconnect.
 */
import type { Clock } from "../util/clock.js";

/** Between two checks: kept connections may trigger them all the time. */
const MIN_CHECK_INTERVAL_MS = 1000;

interface Client {
  readonly id: number;
}

interface CanaryOptions {
  readonly clock: Clock;
  /** Open streams by id. */
  readonly clients: ReadonlyMap<number, Client>;
  /** How many ids one message may name. */
  readonly maxTargets: number;
  readonly keepAlive: (ids: readonly number[]) => void;
  /** Calls `passed` once the notices of everything sent before have arrived; never when the epoch ends before. */
  readonly afterFence: (passed: () => void) => void;
}

export class Canary {
  readonly #options: CanaryOptions;
  #highestId = 0;
  #isChecking = false;
  #checkedAt = Number.NEGATIVE_INFINITY;

  constructor(options: CanaryOptions) {
    this.#options = options;
  }

  /** A request has arrived on this connection. */
  requestReceived(id: number): void {
    if (id > this.#highestId) {
      this.#highestId = id;
      return;
    }
    const { clock, clients } = this.#options;
    const now = clock.monotonic();
    if (clients.size === 0 || this.#isChecking || now - this.#checkedAt < MIN_CHECK_INTERVAL_MS) return;
    this.#checkedAt = now;
    this.#isChecking = true;
    // As this type of array, 50,000 ids are sorted in 3 ms.
    const ids = Int32Array.from(clients.keys()).sort();
    this.#check(ids, ids.length);
  }

  /** A generation of the link has ended or begun. */
  reset(): void {
    this.#highestId = 0;
    this.#isChecking = false;
  }

  /** Checks the last `maxTargets` of the first `count` ids. */
  #check(ids: Int32Array, count: number): void {
    const { clients, maxTargets, keepAlive, afterFence } = this.#options;
    const from = Math.max(0, count - maxTargets);
    const checked = [...ids.subarray(from, count)].flatMap((id) => clients.get(id) ?? []);
    keepAlive(checked.map(({ id }) => id));
    afterFence(() => {
      // Another client by now: a stream that has begun meanwhile with the id of a dead one.
      if (from > 0 && checked.some((client) => clients.get(client.id) !== client)) this.#check(ids, from);
      else this.#isChecking = false;
    });
  }
}
