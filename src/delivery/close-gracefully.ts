/** Closing many streams at once, so that their browsers do not all come back at once. */
import { encodeRetry } from "../protocol/sse.js";
import type { DisconnectReason, Outlet } from "./ports.js";
import type { Server } from "./server-delivery.js";

/** Clients that are told the same time. */
const GROUP = 32;

/** Closes connections politely; each is told to come back after `retry` milliseconds, or up to half as long again. */
export function closeGracefully(outlet: Outlet, ids: readonly number[], retry: number, random: () => number): void {
  for (let from = 0; from < ids.length; from += GROUP) {
    const some = ids.slice(from, from + GROUP);
    const wait = Math.round(retry * (1 + random() / 2));
    outlet.deliver(outlet.address(some), encodeRetry(wait));
    outlet.close(some);
  }
}

interface Leaving {
  leave(server: Server, id: number, reason: DisconnectReason): unknown;
}

/** Closes every stream of one server, while the daemon goes on. */
export function closeAll(hub: Leaving, server: Server, retry: number, random = Math.random): void {
  const ids = [...server.registry.clients.keys()];
  for (const id of ids) hub.leave(server, id, "shutdown");
  closeGracefully(server.outlet, ids, retry, random);
}
