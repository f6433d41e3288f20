/**
 * The routes of the daemon by path. Mongrel2 routes by prefix, in both directions: requests for `/e` and `/esupdatesX` also reach a handler
 * of `/esupdates`, and get 404 here.
 */

import type { Documented, OperationDocs } from "../api-docs/operation.js";
import type { ServerDelivery } from "../delivery/server-delivery.js";
import { type HttpRequest, header } from "../protocol/request.js";
import { errorResponse, rejection } from "./error-response.js";
import type { Response } from "./response.js";

/** Responds to a request, or turns its connection into a stream. */
export type RouteMethod = (server: ServerDelivery, request: HttpRequest) => RouteResult | Promise<RouteResult>;
/** Undefined: the connection is gone. */
export type RouteResult = Response | "streaming" | undefined;

export interface Route {
  /** Its name in logs and metrics. */
  readonly name: string;
  readonly methods: Readonly<Record<string, RouteMethod>>;
  /** Headers of the response to OPTIONS beyond Allow (CORS preflights). */
  readonly options?: (request: HttpRequest) => Readonly<Record<string, string>>;
  /** Whether the connection of an OPTIONS request may be used for another request; absent = it is closed. */
  readonly optionsPersist?: true;
}

/** A route with the documentation of its methods. */
export interface DocumentedRoute extends Route {
  readonly methods: Readonly<Record<string, Documented<RouteMethod>>>;
  /** Where it matches every path that begins with its own: what follows, as in OpenAPI, and the names in it. Absent = nothing. */
  readonly templates?: readonly RouteTemplate[];
}

export interface RouteTemplate {
  /** "{topic}/{subscriber}" */
  readonly path: string;
  /** Instead of those of the methods: ids and parameters differ. Absent = those of the methods. */
  readonly docs?: Readonly<Record<string, OperationDocs>>;
}

export interface RouteTableOptions {
  /** By exact path; one that ends in "/" matches every path that begins with it. */
  readonly routes: ReadonlyMap<string, Route>;
  /** Hosts that are served, in lower case and without a port; empty = every host. Absent = every host. */
  readonly hosts?: () => readonly string[];
}

/** The result of one request. */
export interface RoutedRequest {
  /** Of the route; "other" = none. */
  readonly name: string;
  readonly result: RouteResult | Promise<RouteResult>;
}

/** Mongrel2 forwards a request with a Transfer-Encoding without its body, which then arrives as if it were a request (mongrel2.md 1.5). */
const LENGTH_REQUIRED = "a body needs a Content-Length, and no Transfer-Encoding\n";
const MISDIRECTED = "this host is not served here; fix: add it to [hub] hosts\n";

export class RouteTable {
  readonly #options: RouteTableOptions;

  constructor(options: RouteTableOptions) {
    this.#options = options;
  }

  handle(server: ServerDelivery, request: HttpRequest): RoutedRequest {
    const route = this.#find(request.path);
    return { name: route?.name ?? "other", result: this.#attempt(route, server, request) };
  }

  #find(path: string): Route | undefined {
    const { routes } = this.#options;
    const exact = routes.get(path);
    if (exact) return exact;
    for (const [prefix, route] of routes) if (prefix.endsWith("/") && path.startsWith(prefix)) return route;
    return undefined;
  }

  /** A defect in a route costs one response: if it were thrown, it would end the loop that receives all requests. */
  #attempt(route: Route | undefined, server: ServerDelivery, request: HttpRequest): RouteResult | Promise<RouteResult> {
    if (request.headers.has("transfer-encoding")) return rejection("invalid", { status: 411, body: LENGTH_REQUIRED });
    try {
      if (!this.#isServed(request)) return misdirected();
      return route ? respond(route, server, request) : rejection("not_found");
    } catch (error) {
      return errorResponse(error);
    }
  }

  /**
   * A page whose host name was made to resolve to this machine (DNS rebinding) sends that name as Host. HTTP/1.0 has no Host; every browser
   * sends one.
   */
  #isServed(request: HttpRequest): boolean {
    const hosts = this.#options.hosts?.() ?? [];
    const host = hosts.length === 0 ? undefined : header(request, "host");
    return host === undefined || hosts.includes(hostnameOf(host));
  }
}

/** RFC 9110 section 15.5.20. */
const misdirected = () =>
  rejection("invalid", { status: 421, body: MISDIRECTED, reason: "a Host that [hub] hosts does not have" });

/** Of "host:port" or "host"; "[::1]" keeps its brackets. */
function hostnameOf(host: string): string {
  return host.trim().toLowerCase().replace(/:\d*$/, "").replace(/\.$/, "");
}

function respond(
  { methods, options, optionsPersist: persists }: Route,
  server: ServerDelivery,
  request: HttpRequest,
): RouteResult | Promise<RouteResult> {
  const allow = () => ({ Allow: `${Object.keys(methods).join(", ")}, OPTIONS` });
  if (request.method === "OPTIONS") {
    return { status: 204, headers: { ...allow(), ...options?.(request) }, ...(persists && { persists }) };
  }
  if (isUpload(request)) return rejection("too_large");
  const method = Object.hasOwn(methods, request.method) ? methods[request.method] : undefined;
  return method ? method(server, request) : rejection("method_not_allowed", { headers: allow() });
}

/**
 * Mongrel2 stores a body that is too large to forward in a file and forwards its name; the file is never opened. (In a request with a body
 * that header is only a claim of the client.)
 */
function isUpload({ method, upload, body }: HttpRequest): boolean {
  return upload !== undefined && body.length === 0 && method !== "GET" && method !== "HEAD";
}
