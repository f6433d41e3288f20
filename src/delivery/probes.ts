/**
 * Distinguishes two kinds of disconnect notice that look the same: Mongrel2 sends one by itself when a client disconnects, and one in answer
 * to any frame for a connection that is already closed (docs/architecture/mongrel2.md 1.4). A notice counts as an answer if its client was
 * sent a keep-alive or a heartbeat whose fence has not passed yet. A client that disconnects in that very moment (a millisecond or two of
 * each round) is taken for a dead one: the notice itself does not tell.
 */
import type { Audience } from "./audience.js";
import type { Client } from "./client.js";
import type { Outlet } from "./outlet.js";

type Target = Client | Audience<Client>;

export class Probes {
  readonly #outlet: Outlet;
  /** Sent to, and the fence has not passed. An audience stands for all its clients: heartbeats may go to 100,000 at once. */
  readonly #unfenced = new Set<Target>();

  constructor(outlet: Outlet) {
    this.#outlet = outlet;
  }

  /** Called right after a frame was sent to these. */
  sent(targets: readonly Target[]): void {
    if (targets.length === 0) return;
    for (const target of targets) this.#unfenced.add(target);
    this.#outlet.fence(() => {
      for (const target of targets) this.#unfenced.delete(target);
    }, false);
  }

  /** Whether a notice for this client answers a frame. */
  has(client: Client): boolean {
    return this.#unfenced.has(client) || this.#unfenced.has(client.audience);
  }

  /** The connections are lost: pending fences never pass. */
  clear(): void {
    this.#unfenced.clear();
  }
}
