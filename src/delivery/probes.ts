/**
 * Tells two kinds of disconnect notice apart, which look the same: Mongrel2 sends one by itself when a client leaves, and one in
 * answer to anything that is sent to a connection that is closed already (docs/mongrel2.md). A notice counts as an answer when its client
 * was sent a keep-alive or a heartbeat and the fence behind that has not passed yet. A client that leaves in just that moment (a
 * millisecond or two of each round) is taken for a dead one; nothing in the notice tells.
 */
import type { Audience } from "./audience.js";
import type { Client } from "./client.js";
import type { Outlet } from "./ports.js";

export class Probes {
  readonly #outlet: Outlet;
  /** Sent to, and not fenced yet. An audience stands for all of its clients: heartbeats may go to 100,000 at once. */
  readonly #unfenced = new Set<Client | Audience>();

  constructor(outlet: Outlet) {
    this.#outlet = outlet;
  }

  /** Called right after something was sent to these. */
  sent(targets: readonly (Client | Audience)[]): void {
    if (targets.length === 0) return;
    for (const target of targets) this.#unfenced.add(target);
    this.#outlet.fence(() => {
      for (const target of targets) this.#unfenced.delete(target);
    }, false);
  }

  /** Whether a notice for this client answers what was sent. */
  has(client: Client): boolean {
    return this.#unfenced.has(client) || this.#unfenced.has(client.audience);
  }

  /** The connections are lost: pending fences never pass. */
  clear(): void {
    this.#unfenced.clear();
  }
}
