/** What is known to have reached its clients, for whoever serves them next: see Client.seen and Client.settled. */
import type { Feed } from "./catchup.js";
import type { Client } from "./client.js";
import type { ClientStore } from "./ports.js";
import type { Server } from "./server.js";
import { stored } from "./subscription.js";

/** Mongrel2 has taken a flush: what its receivers have seen is now known. */
export function settle(server: Server, store: ClientStore, through: number, steps: readonly Feed[]): void {
  for (const { clients, cursor, live } of steps) {
    for (const client of clients) {
      if (server.registry.clients.get(client.id) !== client) continue;
      client.seen = cursor;
      client.settled = live;
      store.put(server.name, stored(server, client));
    }
  }
  store.fenced(server.name, through);
}

/** What its server has fenced so far counts for a client, what it fences from now on does not. */
export function unsettle(server: Server, store: ClientStore, clients: readonly Client[]): void {
  for (const client of clients) {
    client.seen = stored(server, client).seen;
    client.settled = false;
    store.put(server.name, stored(server, client));
  }
}
