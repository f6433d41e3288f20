/**
 * Who takes which kind of message. One table, one line a kind.
 *
 * A notice is never answered (that would be answered with a notice, and so on). What is not HTTP is not ours: a WebSocket
 * handshake is still an HTTP request and gets an answer; everything else is cut.
 */

import type { Server } from "../delivery/server-delivery.js";
import type { Hub } from "../hub/hub.js";
import type { HttpRequest, Inbound } from "../protocol/request.js";

export interface RequestHandler {
  /** Answers a request; the connection is not streaming. */
  request(server: Server, request: HttpRequest): void;
  /** Answers something that is almost a request, by its connection id. */
  refuse(server: Server, id: number, why: "websocket" | "malformed"): void;
  /** Resolves when no request waits for its answer. */
  idle(): Promise<void>;
  /** Waits no longer for answers that take time. Returns how many connections waited. */
  abandon(): number;
}

type Receivers = { [K in Inbound["kind"]]: (message: Extract<Inbound, { kind: K }>) => void };

export function dispatch(hub: Hub, server: Server, visitors: RequestHandler): (message: Inbound) => void {
  const cut = ({ id }: { id: number }) => hub.evict(server, id);
  const receivers: Receivers = {
    http: (request) => {
      if (server.clients.has(request.id)) hub.evict(server, request.id);
      else visitors.request(server, request);
    },
    disconnect: ({ id }) => void hub.closed(server, id),
    credits: ({ id, bytes }) => server.credit(id, bytes),
    "websocket-handshake": ({ id }) => visitors.refuse(server, id, "websocket"),
    "websocket-frame": cut,
    "json-socket": cut,
    "xml-socket": cut,
    "upload-piece": cut,
  };
  return (message) => (receivers[message.kind] as (message: Inbound) => void)(message);
}
