/**
 * Where what comes next does not follow on what came last: some of it was lost on the way to this daemon ("expired"), or a new
 * epoch has begun, and positions of the old one mean nothing ("unknown"). Everybody leaves live and reads on from history,
 * which tells those who miss something; streams stay open.
 */
import { BEFORE_ALL } from "./catchup.js";
import type { ClientStore, GapReason, History } from "./ports.js";
import type { Server } from "./server.js";
import { stored } from "./subscription.js";

/** `history` is as it will be from now on. */
export function interrupt(server: Server, reason: GapReason, history: History, store: ClientStore): void {
  const { outbox, catchup, registry } = server;
  outbox.interrupt(history.last, registry.audiences.values());
  if (reason === "unknown") {
    catchup.rewind();
    for (const client of registry.clients.values()) {
      client.seen = BEFORE_ALL;
      client.settled = false;
      store.put(server.name, stored(server, client));
    }
  }
  outbox.pump();
}
