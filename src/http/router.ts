/**
 * Requests to responses, in the order of each connection's requests. Every request gets a response, which ends the connection unless it is a
 * stream or persists.
 *
 * Some responses take time: a token is verified, an event is stored. Later requests of the same connection are queued meanwhile, since
 * responses leave in the order of the requests (RFC 9112 section 9.3.2). Mongrel2 may restart meanwhile: then the id belongs to another
 * connection, which gets no response.
 */

import type { ServerDelivery } from "../delivery/server-delivery.js";
import { M2pushError } from "../errors.js";
import type { Hub } from "../hub/hub.js";
import { type HttpRequest, header } from "../protocol/request.js";
import { errorResponse, publishErrorResponse, rejection } from "./error-response.js";
import { problemResponse } from "./problem.js";
import { encodeResponse, type Response } from "./response.js";
import { type RoutedRequest, type RouteResult, RouteTable, type RouteTableOptions } from "./route-table.js";
import { sendResponse } from "./send-response.js";

export interface RouterOptions extends RouteTableOptions {
  readonly hub: Pick<Hub, "evict">;
  /** Called for each response, and for each stream with 200. `reason`: why the request was rejected, for the log. */
  readonly requestCompleted: (server: string, route: string, status: number, reason?: string) => void;
  /** Headers of every response except streams; `request` is absent for a message that is not a request. */
  readonly commonHeaders: (request?: HttpRequest) => Readonly<Record<string, string>>;
  /** Puts the address of the visitor in the place of the peer's; absent = the peer is the visitor. */
  readonly withVisitor?: (request: HttpRequest) => HttpRequest;
}

/** Requests of one connection that are queued behind a slow response: more than any publisher's library sends ahead. */
const MAX_QUEUED_REQUEST_COUNT = 256;
/**
 * Responses to queued requests between two fences: Mongrel2 ends a connection at the 17th message that it takes before its writers run,
 * however fast the client reads (mongrel2.md 2.1).
 */
const FENCE_INTERVAL_COUNT = 8;

/** A connection whose response takes time. */
interface BusyConnection {
  /** Of the server, when the request arrived. */
  readonly generation: number;
  current: Exchange;
  readonly queued: HttpRequest[];
}

interface Exchange extends RoutedRequest {
  readonly request: HttpRequest;
}

export class Router {
  readonly #options: RouterOptions;
  readonly #routes: RouteTable;
  readonly #busy = new Map<ServerDelivery, Map<number, BusyConnection>>();
  #idleListeners: (() => void)[] = [];

  constructor(options: RouterOptions) {
    this.#options = options;
    this.#routes = new RouteTable(options);
  }

  request(server: ServerDelivery, received: HttpRequest): void {
    const request = this.#options.withVisitor?.(received) ?? received;
    const busy = this.#busyConnection(server, request.id);
    if (busy) this.#enqueue(server, busy, request);
    else this.#start(server, request);
  }

  /**
   * Rejects a message that is not an HTTP request. On a stream, or behind a slow response, a response would be part of another: the
   * connection is cancelled.
   */
  refuse(server: ServerDelivery, id: number, kind: "websocket" | "malformed"): void {
    if (this.#busyConnection(server, id) || server.clients.has(id)) {
      this.#cancel(server, id);
      return;
    }
    const body = kind === "websocket" ? { body: "WebSocket is not served here: use EventSource\n" } : {};
    const response = rejection("invalid", { headers: this.#options.commonHeaders(), ...body });
    this.#options.requestCompleted(server.name, kind, response.status);
    const bytes = encodeResponse(response, { persists: false, isHead: false });
    void sendResponse(server, id, bytes, { persists: false, isGone: () => false });
  }

  /** Resolves when every request has its response. */
  idle(): Promise<void> {
    if (this.#isIdle) return Promise.resolve();
    return new Promise((resolve) => this.#idleListeners.push(resolve));
  }

  /**
   * Gives up every slow response: publishers are told to try again, all other connections are cancelled and their clients reconnect (an
   * EventSource gives up for good at any status except 200). Returns the number of connections.
   */
  abandon(): number {
    let abandoned = 0;
    for (const [server, connections] of this.#busy) {
      for (const [id, { generation, current }] of connections) {
        connections.delete(id);
        if (generation !== server.generation) continue;
        abandoned++;
        this.#abandon(server, current);
      }
    }
    return abandoned;
  }

  #abandon(server: ServerDelivery, { name, request }: Exchange): void {
    if (request.method !== "POST") {
      this.#options.hub.evict(server, request.id);
      return;
    }
    const stopping = new M2pushError("unavailable", "the daemon is stopping, and the event is not stored yet");
    void this.#send(name, server, request, publishErrorResponse(stopping), () => false);
  }

  // ---- One request ---------------------------------------------------------------------------------------------------

  #start(server: ServerDelivery, request: HttpRequest): void {
    const exchange = this.#begin(server, request);
    if (exchange.result instanceof Promise) void this.#converse(server, exchange);
    else void this.#finish(exchange.name, server, request, exchange.result, restartOf(server));
  }

  #begin(server: ServerDelivery, request: HttpRequest): Exchange {
    const { name, result } = this.#routes.handle(server, request);
    return { name, request, result };
  }

  /** Whether the connection can take another response. `isGone`: the rest of a long response is not sent. */
  #finish(
    name: string,
    server: ServerDelivery,
    request: HttpRequest,
    result: RouteResult,
    isGone: () => boolean,
  ): boolean | Promise<boolean> {
    if (result === undefined) return false;
    if (result === "streaming") {
      this.#options.requestCompleted(server.name, name, 200);
      return true;
    }
    if (!server.clients.has(request.id)) return this.#send(name, server, request, result, isGone);
    // The route failed after its stream was opened: a response would be part of the stream.
    this.#options.requestCompleted(server.name, name, result.status, result.reason);
    this.#options.hub.evict(server, request.id);
    return false;
  }

  #send(
    name: string,
    server: ServerDelivery,
    request: HttpRequest,
    response: Response,
    isGone: () => boolean,
  ): boolean | Promise<boolean> {
    this.#options.requestCompleted(server.name, name, response.status, response.reason);
    const persists = response.persists === true && mayPersist(request);
    const body = problemResponse(request, response);
    const headers = { ...this.#options.commonHeaders(request), ...body.headers };
    const bytes = encodeResponse({ ...body, headers }, { persists, isHead: request.method === "HEAD" });
    return sendResponse(server, request.id, bytes, { persists, isGone });
  }

  // ---- Connections with a slow response ------------------------------------------------------------------------------

  #busyConnection(server: ServerDelivery, id: number): BusyConnection | undefined {
    const busy = this.#busy.get(server)?.get(id);
    return busy?.generation === server.generation ? busy : undefined;
  }

  #enqueue(server: ServerDelivery, { queued }: BusyConnection, request: HttpRequest): void {
    if (queued.push(request) > MAX_QUEUED_REQUEST_COUNT) this.#cancel(server, request.id);
  }

  #cancel(server: ServerDelivery, id: number): void {
    this.#busy.get(server)?.delete(id);
    this.#options.hub.evict(server, id);
  }

  /** A slow response, then the responses to every request that its connection has queued. */
  async #converse(server: ServerDelivery, first: Exchange): Promise<void> {
    const { id } = first.request;
    const busy: BusyConnection = { generation: server.generation, current: first, queued: [] };
    const connections = this.#busy.get(server) ?? new Map<number, BusyConnection>();
    this.#busy.set(server, connections.set(id, busy));
    const isGone = () => connections.get(id) !== busy || busy.generation !== server.generation;
    let exchange: Exchange | undefined = first;
    for (let count = 1; exchange; count++) {
      busy.current = exchange;
      const result: RouteResult = await Promise.resolve(exchange.result).catch(errorResponse);
      if (isGone() || !(await this.#finish(exchange.name, server, exchange.request, result, isGone))) break;
      if (count % FENCE_INTERVAL_COUNT === 0) await new Promise<void>((passed) => server.outlet.fence(passed));
      exchange = isGone() ? undefined : this.#next(server, busy);
    }
    if (connections.get(id) === busy) connections.delete(id);
    if (this.#idleListeners.length > 0 && this.#isIdle) for (const resolve of this.#idleListeners.splice(0)) resolve();
  }

  /** Starts the oldest queued request. If the connection has become a stream, it is cancelled: no response is possible. */
  #next(server: ServerDelivery, { queued }: BusyConnection): Exchange | undefined {
    const request = queued.shift();
    if (!request) return undefined;
    if (!server.clients.has(request.id)) return this.#begin(server, request);
    this.#options.hub.evict(server, request.id);
    return undefined;
  }

  get #isIdle(): boolean {
    for (const [{ generation }, connections] of this.#busy)
      for (const busy of connections.values()) if (busy.generation === generation) return false;
    return true;
  }
}

/** RFC 9112 section 9.3: unless one side closes, and never for HTTP/1.0. */
function mayPersist(request: HttpRequest): boolean {
  const connection = header(request, "connection") ?? "";
  return request.version === "HTTP/1.1" && !/\bclose\b/i.test(connection);
}

/** Whether Mongrel2 has restarted since: then the id belongs to another connection. */
function restartOf(server: ServerDelivery): () => boolean {
  const { generation } = server;
  return () => generation !== server.generation;
}
