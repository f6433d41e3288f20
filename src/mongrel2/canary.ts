/**
 * Finds early that Mongrel2 has restarted behind a ZeroMQ proxy where no control port tells (bind = true): a new Mongrel2 counts its
 * connections from 1 again, so a request comes on a connection with a number below the highest. An old kept connection does the same,
 * so that proves nothing; it only makes it worth while to ask. The streams with the highest numbers get a keep-alive, as many as one message names, and
 * a fence follows. Mongrel2 sends a notice for each that is dead, and the hub forgets it, as it does in the keep-alive sweep: so nobody
 * who lives can be cut by this. While some were dead, the next are asked. Numbers that are taken again look alive, so the answer
 * never proves that Mongrel2 is the same.
 *
 * Without it the dead of a restart are found within `[stream] keepalive` (45 s), and until then each browser that comes back with the
 * number of one is cut, and comes back once more.
 */
import type { Clock } from "../util/clock.js";

/** Between two occasions, milliseconds: old kept connections may ask all the time. */
const MIN_CHECK_INTERVAL_MS = 1000;

interface Client {
  readonly id: number;
}

export interface CanaryOptions {
  readonly clock: Clock;
  /** Open streams by id. */
  readonly clients: ReadonlyMap<number, Client>;
  /** How many ids one message may name. */
  readonly maxTargets: number;
  readonly keepAlive: (ids: readonly number[]) => void;
  /** Calls back once the notices of everything sent before have come; never when the epoch ends before. */
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

  /** A request has come on this connection. */
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
    // 50,000 numbers are sorted in 3 ms, as this type of array.
    const ids = Int32Array.from(clients.keys()).sort();
    this.#check(ids, ids.length);
  }

  /** An epoch has ended or begun. */
  reset(): void {
    this.#highestId = 0;
    this.#isChecking = false;
  }

  /** Asks for the last of the first `left` ids. */
  #check(ids: Int32Array, left: number): void {
    const { clients, maxTargets, keepAlive, afterFence: reached } = this.#options;
    const from = Math.max(0, left - maxTargets);
    const asked = [...ids.subarray(from, left)].flatMap((id) => clients.get(id) ?? []);
    keepAlive(asked.map(({ id }) => id));
    reached(() => {
      // A stream that has begun meanwhile with the number of a dead one is another client.
      if (from > 0 && asked.some((client) => clients.get(client.id) !== client)) this.#check(ids, from);
      else this.#isChecking = false;
    });
  }
}
