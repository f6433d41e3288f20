/**
 * Requests to answers: one table of routes by exact path (Mongrel2 routes by prefix both ways, so `/e` and `/esupdatesX`
 * come here too), each with its methods. No request stays without an answer, and every answer but a stream ends the
 * connection.
 */
import type { Server } from "../hub/server.js";
import type { HttpRequest } from "../protocol/request.js";
import { type Answer, response } from "./response.js";

/** Answers a request, or has taken the connection over as a stream. */
export type Method = (server: Server, request: HttpRequest) => Answer | "streaming";

/** What a path offers. OPTIONS is answered from the list of methods. */
export type Route = Readonly<Record<string, Method>>;

export class Router {
  readonly #routes: ReadonlyMap<string, Route>;

  constructor(routes: ReadonlyMap<string, Route>) {
    this.#routes = routes;
  }

  request(server: Server, request: HttpRequest): void {
    const answer = this.#answer(server, request);
    if (answer !== "streaming") send(server, request.id, response(answer, request.method === "HEAD"));
  }

  refuse(server: Server, id: number, why: "websocket" | "malformed"): void {
    const answer: Answer =
      why === "websocket" ? { status: 400, body: "WebSocket is not served here: use EventSource\n" } : { status: 400 };
    send(server, id, response(answer, false));
  }

  #answer(server: Server, request: HttpRequest): Answer | "streaming" {
    const route = this.#routes.get(request.path);
    if (!route) return { status: 404 };
    const allow = `${Object.keys(route).join(", ")}, OPTIONS`;
    if (request.method === "OPTIONS") return { status: 204, headers: { Allow: allow } };
    const method = Object.hasOwn(route, request.method) ? route[request.method] : undefined;
    if (!method) return { status: isUpload(request) ? 413 : 405, headers: { Allow: allow } };
    return method(server, request);
  }
}

/** A body too large for Mongrel2 to hand over in one piece: refused, and the files its headers name are never touched. */
function isUpload(request: HttpRequest): boolean {
  return request.upload !== undefined;
}

/** Body and close are two messages: Mongrel2 closes on an empty one, after what is queued. */
function send(server: Server, id: number, bytes: Buffer): void {
  server.outlet.deliver(server.outlet.address([id]), bytes);
  server.outlet.close([id]);
}
