/** What is known to have reached its clients, for whoever serves them next: see Client.seen and Client.settled. */
import type { CatchupStep } from "./catchup.js";
import type { Client } from "./client.js";
import type { ClientStore } from "./ports.js";
import type { Server } from "./server-delivery.js";
import { toStoredClient } from "./subscription.js";

/** Mongrel2 has taken a flush: what its receivers have seen is now known. */
export function acknowledge(server: Server, store: ClientStore, through: number, steps: readonly CatchupStep[]): void {
  for (const { clients, cursor, live } of steps) {
    for (const client of clients) {
      if (server.registry.clients.get(client.id) !== client) continue;
      client.acknowledgedOffset = cursor;
      client.coveredByServerFence = live;
      store.put(server.name, toStoredClient(server, client));
    }
  }
  store.fenced(server.name, through);
}

/** What its server has fenced so far counts for a client, what it fences from now on does not. */
export function leaveServerFence(server: Server, store: ClientStore, clients: readonly Client[]): void {
  for (const client of clients) {
    client.acknowledgedOffset = toStoredClient(server, client).acknowledgedOffset;
    client.coveredByServerFence = false;
    store.put(server.name, toStoredClient(server, client));
  }
}
