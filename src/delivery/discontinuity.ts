/**
 * Where what comes next does not follow on what came last: some of it was lost on the way to this daemon ("expired"), or a new
 * epoch has begun, and positions of the old one mean nothing ("unknown"). Everybody leaves live and reads on from history,
 * which tells those who miss something; streams stay open.
 */
import { BEFORE_ALL } from "./catchup.js";
import type { ClientStore, GapReason, History } from "./ports.js";
import type { Server } from "./server-delivery.js";
import { toStoredClient } from "./subscription.js";

/** `history` is as it will be from now on. */
export function applyDiscontinuity(server: Server, reason: GapReason, history: History, store: ClientStore): void {
  const { outbox, catchup, registry } = server;
  outbox.applyDiscontinuity(history.last, registry.audiences.values());
  if (reason === "unknown") {
    catchup.rewind();
    for (const client of registry.clients.values()) {
      client.acknowledgedOffset = BEFORE_ALL;
      client.coveredByServerFence = false;
      store.put(server.name, toStoredClient(server, client));
    }
  }
  outbox.pump();
}
