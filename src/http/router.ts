/**
 * Requests to answers: a table of routes by path (Mongrel2 routes by prefix both ways, so `/e` and `/esupdatesX` come here
 * too), each with its methods. No request stays without an answer; an answer ends the connection, unless it is a stream or
 * says that the connection persists.
 *
 * Some answers take time (a token is checked, an event is stored). What a connection asks meanwhile waits: answers leave in
 * the order of the requests (RFC 9112 section 9.3.2). And Mongrel2 may have been restarted meanwhile: then the connection is
 * another one, and gets no answer.
 */

import type { Server } from "../delivery/server-delivery.js";
import { M2pushError } from "../errors.js";
import type { Hub } from "../hub/hub.js";
import { type HttpRequest, header } from "../protocol/request.js";
import { encodeResponse, type Response } from "./response.js";

/** Answers a request, or has taken the connection over as a stream. */
export type RouteMethod = (server: Server, request: HttpRequest) => RouteResult | Promise<RouteResult>;
/** Undefined: the connection is gone, there is nobody to answer. */
export type RouteResult = Response | "streaming" | undefined;

/** What a path offers. */
export interface Route {
  /** What logs and metrics call it. */
  readonly name: string;
  readonly methods: Readonly<Record<string, RouteMethod>>;
  /** Headers for an OPTIONS request beyond Allow (CORS preflights). */
  readonly options?: (request: HttpRequest) => Readonly<Record<string, string>>;
  /** Whether the connection of an OPTIONS request may be used for another one; absent = it is closed. */
  readonly optionsPersist?: true;
}

export interface RouterOptions {
  readonly hub: Pick<Hub, "evict">;
  /** By exact path; one that ends in "/" takes every path that begins with it. */
  readonly routes: ReadonlyMap<string, Route>;
  readonly answered: (server: string, route: string, status: number, why?: string) => void;
  /** Headers for every answer but streams: its date; and pages of other origins may read refusals, too (cors.ts). */
  readonly readable: (request?: HttpRequest) => Readonly<Record<string, string>>;
  /** The answer to a request for a host that is not served; absent = every host is. */
  readonly misdirected?: (request: HttpRequest) => Response | undefined;
}

/** Requests of one connection that may wait behind an answer that takes time: more than a publisher's library ever sends ahead. */
const MOST_WAITING = 256;
/**
 * Answers to requests that waited, between two fences: a 17th message that Mongrel2 takes before its writers run kills the
 * connection, however fast it reads (mongrel2.md 2.1).
 */
const PACE = 8;
/**
 * A long answer leaves in pieces, each when Mongrel2 has taken the one before: in one piece it would hold up what others are sent for as
 * long as Mongrel2 reads it (13 MB: 0.2 s). As few that a client that reads nothing yet is not killed for them (mongrel2.md 2.1).
 */
const PIECE_BYTES = 65_536;
const MAX_PIECES = 12;

/** Mongrel2 hands on a request with a Transfer-Encoding without its body, which then follows as if it were a request (mongrel2.md 1.5). */
const LENGTH_REQUIRED = "a body needs a Content-Length, and no Transfer-Encoding\n";

interface Busy {
  readonly life: number;
  /** Its answer takes time. */
  turn: Turn;
  readonly waiting: HttpRequest[];
}

/** A request and its answer, which may take time. */
interface Turn {
  readonly name: string;
  readonly request: HttpRequest;
  readonly outcome: RouteResult | Promise<RouteResult>;
}

export class Router {
  readonly #options: RouterOptions;
  /** Connections with an answer that takes time. */
  readonly #busy = new Map<Server, Map<number, Busy>>();
  #whenIdle: (() => void)[] = [];

  constructor(options: RouterOptions) {
    this.#options = options;
  }

  request(server: Server, request: HttpRequest): void {
    const busy = this.#busy.get(server)?.get(request.id);
    if (busy?.life !== server.generation) this.#serve(server, request);
    else if (busy.waiting.push(request) > MOST_WAITING) this.#cut(server, request.id);
  }

  /** What its connection waits for is not sent any more. */
  #cut(server: Server, id: number): void {
    this.#busy.get(server)?.delete(id);
    this.#options.hub.evict(server, id);
  }

  /** On a stream, or behind an answer that takes time, there is no place for an answer of its own: the connection is cut. */
  refuse(server: Server, id: number, why: "websocket" | "malformed"): void {
    const isBusy = this.#busy.get(server)?.get(id)?.life === server.generation;
    if (isBusy || server.clients.has(id)) {
      this.#cut(server, id);
      return;
    }
    const headers = this.#options.readable();
    const body = why === "websocket" ? { body: "WebSocket is not served here: use EventSource\n" } : {};
    const answer: Response = { status: 400, headers, ...body };
    this.#options.answered(server.name, why, answer.status);
    send(server, id, encodeResponse(answer, { persists: false, isHead: false }), false);
  }

  /** Resolves when no request waits for its answer. */
  idle(): Promise<void> {
    if (this.#isIdle) return Promise.resolve();
    return new Promise((resolve) => this.#whenIdle.push(resolve));
  }

  get #isIdle(): boolean {
    for (const [{ generation: life }, connections] of this.#busy)
      for (const busy of connections.values()) if (busy.life === life) return false;
    return true;
  }

  /**
   * Waits no longer for answers that take time: publishers are told to try again, everybody else is cut and comes back (an
   * EventSource gives up for good at any status but 200). Returns how many connections that were.
   */
  abandon(): number {
    let abandoned = 0;
    for (const [server, connections] of this.#busy) {
      for (const [id, { life, turn }] of connections) {
        connections.delete(id);
        if (life !== server.generation) continue;
        abandoned++;
        this.#abandon(server, turn);
      }
    }
    return abandoned;
  }

  #abandon(server: Server, { name, request }: Turn): void {
    if (request.method !== "POST") {
      this.#options.hub.evict(server, request.id);
      return;
    }
    const answer = failure(new M2pushError("unavailable", "the daemon is stopping, and the event is not stored yet"));
    this.#options.answered(server.name, name, answer.status, answer.why);
    const headers = { ...this.#options.readable(request), ...answer.headers };
    send(server, request.id, encodeResponse({ ...answer, headers }, { persists: false, isHead: false }), false);
  }

  #serve(server: Server, request: HttpRequest): void {
    const turn = this.#begin(server, request);
    if (turn.outcome instanceof Promise) void this.#converse(server, turn);
    else void this.#finish(turn.name, server, request, turn.outcome);
  }

  #begin(server: Server, request: HttpRequest): Turn {
    const route = this.#route(request.path);
    return { name: route?.name ?? "other", request, outcome: this.#attempt(route, server, request) };
  }

  /** A mistake of ours in one route costs one answer: thrown on, it would end the loop that receives everybody's requests. */
  #attempt(route: Route | undefined, server: Server, request: HttpRequest): RouteResult | Promise<RouteResult> {
    if (request.headers.has("transfer-encoding")) return { status: 411, body: LENGTH_REQUIRED };
    try {
      const misdirected = this.#options.misdirected?.(request);
      if (misdirected) return misdirected;
      return route ? this.#outcome(route, server, request) : { status: 404 };
    } catch (error) {
      return failure(error);
    }
  }

  /** An answer that takes time, and all that its connection asks until nothing waits any more. */
  async #converse(server: Server, first: Turn): Promise<void> {
    const { id } = first.request;
    const busy: Busy = { life: server.generation, turn: first, waiting: [] };
    const connections = this.#busy.get(server) ?? new Map<number, Busy>();
    this.#busy.set(server, connections.set(id, busy));
    const isOver = () => connections.get(id) !== busy || busy.life !== server.generation;
    let turn: Turn | undefined = first;
    for (let answers = 1; turn; answers++) {
      busy.turn = turn;
      const outcome: RouteResult = await Promise.resolve(turn.outcome).catch(failure);
      if (isOver() || !(await this.#finish(turn.name, server, turn.request, outcome, isOver))) break;
      if (answers % PACE === 0) await new Promise<void>((passed) => server.outlet.fence(passed));
      turn = isOver() ? undefined : this.#next(server, busy);
    }
    if (connections.get(id) === busy) connections.delete(id);
    if (this.#whenIdle.length > 0 && this.#isIdle) for (const resolve of this.#whenIdle.splice(0)) resolve();
  }

  /** What waited longest. The connection may have become a stream: then there is no answer. */
  #next(server: Server, { waiting }: Busy): Turn | undefined {
    const request = waiting.shift();
    if (!request) return undefined;
    if (!server.clients.has(request.id)) return this.#begin(server, request);
    this.#options.hub.evict(server, request.id);
    return undefined;
  }

  /** Whether there is still somebody to answer to. `isOver`: what is left of a long answer is not to be sent. */
  #finish(
    name: string,
    server: Server,
    request: HttpRequest,
    outcome: RouteResult,
    isOver = restartOf(server),
  ): boolean | Promise<boolean> {
    if (outcome === undefined) return false;
    this.#options.answered(server.name, name, outcome === "streaming" ? 200 : outcome.status, whyOf(outcome));
    if (outcome === "streaming") return true;
    if (server.clients.has(request.id)) {
      // Something failed after its stream was opened: any answer would be part of that.
      this.#options.hub.evict(server, request.id);
      return false;
    }
    const persists = outcome.persists === true && mayPersist(request);
    const answer = { ...outcome, headers: { ...this.#options.readable(request), ...outcome.headers } };
    const bytes = encodeResponse(answer, { persists, isHead: request.method === "HEAD" });
    if (bytes.length > PIECE_BYTES) return sendInPieces(server, request.id, bytes, { persists, isOver });
    send(server, request.id, bytes, persists);
    return persists;
  }

  #route(path: string): Route | undefined {
    const { routes } = this.#options;
    const exact = routes.get(path);
    if (exact) return exact;
    for (const [prefix, route] of routes) if (prefix.endsWith("/") && path.startsWith(prefix)) return route;
    return undefined;
  }

  #outcome(
    { methods, options, optionsPersist: persists }: Route,
    server: Server,
    request: HttpRequest,
  ): RouteResult | Promise<RouteResult> {
    const allow = () => ({ Allow: `${Object.keys(methods).join(", ")}, OPTIONS` });
    if (request.method === "OPTIONS") {
      return { status: 204, headers: { ...allow(), ...options?.(request) }, ...(persists && { persists }) };
    }
    if (isUpload(request)) return { status: 413 };
    const method = Object.hasOwn(methods, request.method) ? methods[request.method] : undefined;
    return method ? method(server, request) : { status: 405, headers: allow() };
  }
}

/**
 * A body too large for Mongrel2 to hand over in one piece comes as the name of a file, which is never touched. (With a body,
 * the header is only what some client says.)
 */
function isUpload({ method, upload, body }: HttpRequest): boolean {
  return upload !== undefined && body.length === 0 && method !== "GET" && method !== "HEAD";
}

const whyOf = (outcome: RouteResult) => (typeof outcome === "object" ? outcome.why : undefined);

/** An answer was meant to come, and did not. Only what will pass is told to the client: come again. */
function failure(error: unknown): Response {
  const why = error instanceof Error ? error.message : String(error);
  const isPassing = error instanceof M2pushError && (error.code === "unavailable" || error.code === "storage_failed");
  return isPassing ? { status: 503, headers: { "Retry-After": "1" }, why } : { status: 500, why };
}

/** RFC 9112 section 9.3: unless one side says otherwise, and never for HTTP/1.0. */
function mayPersist(request: HttpRequest): boolean {
  const connection = header(request, "connection") ?? "";
  return request.version === "HTTP/1.1" && !/\bclose\b/i.test(connection);
}

/** Body and close are two messages: Mongrel2 closes on an empty one, after what is queued. */
function send(server: Server, id: number, bytes: Buffer, persists: boolean): void {
  server.outlet.deliver(server.outlet.address([id]), bytes);
  if (!persists) server.outlet.close([id]);
  server.requests.answered(id, persists);
}

/** Tells whether Mongrel2 was restarted since: then the connection is somebody else's. */
function restartOf(server: Server): () => boolean {
  const { generation: life } = server;
  return () => life !== server.generation;
}

async function sendInPieces(
  server: Server,
  id: number,
  bytes: Buffer,
  { persists, isOver }: { readonly persists: boolean; readonly isOver: () => boolean },
): Promise<boolean> {
  const size = Math.max(PIECE_BYTES, Math.ceil(bytes.length / MAX_PIECES));
  for (let from = 0; from < bytes.length; from += size) {
    if (from > 0) await new Promise<void>((passed) => server.outlet.fence(passed));
    if (isOver()) return false;
    server.outlet.deliver(server.outlet.address([id]), bytes.subarray(from, from + size));
  }
  if (!persists) server.outlet.close([id]);
  return persists;
}
