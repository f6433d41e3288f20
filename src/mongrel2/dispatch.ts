/**
 * Hands each kind of message to its receiver: one table, one line for each kind.
 *
 * A notice gets no response, which Mongrel2 would answer with another notice. A WebSocket handshake is still an HTTP request and gets a
 * response; a connection with any other kind of message is cancelled.
 */

import type { ServerDelivery } from "../delivery/server-delivery.js";
import type { Hub } from "../hub/hub.js";
import type { HttpRequest, Inbound } from "../protocol/request.js";

export interface RequestHandler {
  /** Responds to a request; the connection does not stream. */
  request(server: ServerDelivery, request: HttpRequest): void;
  /** Responds to an unusable request, by its connection id. */
  refuse(server: ServerDelivery, id: number, why: "websocket" | "malformed"): void;
  /** Resolves when no request lacks its response. */
  idle(): Promise<void>;
  /** Gives up responses that take time. Returns the number of connections that were waiting for one. */
  abandon(): number;
}

type Receivers = { [K in Inbound["kind"]]: (message: Extract<Inbound, { kind: K }>) => void };

export function dispatch(hub: Hub, server: ServerDelivery, requestHandler: RequestHandler): (message: Inbound) => void {
  const cancel = ({ id }: { id: number }) => hub.evict(server, id);
  const receivers: Receivers = {
    http: (request) => {
      if (server.clients.has(request.id)) hub.evict(server, request.id);
      else requestHandler.request(server, request);
    },
    disconnect: ({ id }) => void hub.closed(server, id),
    credits: ({ id, bytes }) => server.credit(id, bytes),
    "websocket-handshake": ({ id }) => requestHandler.refuse(server, id, "websocket"),
    "websocket-frame": cancel,
    "json-socket": cancel,
    "xml-socket": cancel,
    "upload-piece": cancel,
  };
  return (message) => (receivers[message.kind] as (message: Inbound) => void)(message);
}
