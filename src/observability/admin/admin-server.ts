/**
 * The HTTP server for operators, on node:http and an address of its own (loopback by default); no route of Mongrel2 leads here. A table
 * of routes by path, each with its methods; everything else is 404 or 405. Requests have no body; one that is sent is dropped with the
 * connection. A request that is slow, malformed or too large costs one connection for a few seconds, and no line of the log.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { M2pushError } from "../../errors.js";
import { type AdminResponse, type AdminRoute, textResponse } from "./admin-response.js";
import { Connections } from "./connections.js";
import { Guard } from "./guard.js";
import { Paths } from "./paths.js";

export interface AdminServerOptions {
  /** "host:port", as in "127.0.0.1:6780" or "[::1]:6780"; port 0 = a free one. */
  readonly listen: string;
  /** Routes without authorization, by path (see paths.ts). */
  readonly routes: ReadonlyMap<string, AdminRoute>;
  /** Routes for operators, by path: see guard.ts. Absent = none. */
  readonly guarded?: ReadonlyMap<string, AdminRoute>;
  /** Bearer token of operators; absent and "" = none. */
  readonly token?: string;
  /** Connections at a time; absent = MAX_CONNECTIONS. */
  readonly maxConnections?: number;
  /** The limit was reached: an idle connection was closed. */
  readonly full?: () => void;
  /** A route threw, which is a programmer's error, or a connection could not be accepted. */
  readonly failed: (error: unknown) => void;
}

/** A request must be complete within this time; an idle connection is closed after it. */
const REQUEST_TIMEOUT_MS = 5000;
/** How often Node.js looks for requests beyond it. */
const TIMEOUT_CHECK_INTERVAL_MS = 1000;
const MAX_CONNECTIONS = 100;
const MAX_HEADER_BYTES = 8192;

interface GuardedRoute {
  readonly route: AdminRoute;
  readonly isGuarded: boolean;
}

const withGuard = (
  routes: ReadonlyMap<string, AdminRoute>,
  isGuarded: boolean,
): [path: string, route: GuardedRoute][] => [...routes].map(([path, route]) => [path, { route, isGuarded }]);

export class AdminServer {
  readonly #options: AdminServerOptions;
  readonly #guard: Guard;
  readonly #paths: Paths<GuardedRoute>;
  readonly #server: Server;
  readonly #connections: Connections;

  constructor(options: AdminServerOptions) {
    this.#options = options;
    const { listen, token = "", routes, guarded = new Map() } = options;
    this.#guard = new Guard({ listen, token });
    this.#paths = new Paths([...withGuard(routes, false), ...withGuard(guarded, true)]);
    this.#server = createServer(
      {
        maxHeaderSize: MAX_HEADER_BYTES,
        headersTimeout: REQUEST_TIMEOUT_MS,
        requestTimeout: REQUEST_TIMEOUT_MS,
        keepAliveTimeout: REQUEST_TIMEOUT_MS,
        connectionsCheckingInterval: TIMEOUT_CHECK_INTERVAL_MS,
      },
      (request, response) => void this.#serve(request, response),
    );
    const { maxConnections = MAX_CONNECTIONS, full = () => {} } = options;
    this.#connections = new Connections({ maxConnections, reached: full });
    this.#server.on("connection", this.#connections.add);
    this.#server.on("clientError", rejectRequest);
  }

  /** Rejects with "link_failed" when the address cannot be bound. */
  start(): Promise<void> {
    const { listen } = this.#options;
    const at = listen.lastIndexOf(":");
    const host = listen.slice(0, at).replace(/^\[(.*)\]$/, "$1");
    return new Promise((resolve, reject) => {
      const failed = (cause: NodeJS.ErrnoException) => reject(failure(listen, cause));
      this.#server.once("error", failed);
      this.#server.listen({ host, port: Number(listen.slice(at + 1)) }, () => {
        this.#server.off("error", failed);
        // For example the process has no file descriptor for one more connection.
        this.#server.on("error", (error) => this.#options.failed(error));
        resolve();
      });
    });
  }

  /** Where it listens: "http://127.0.0.1:6780". Only between start() and close(). */
  get url(): string {
    const { address, port, family } = this.#server.address() as AddressInfo;
    return `http://${family === "IPv6" ? `[${address}]` : address}:${port}`;
  }

  /** Resolves when all sockets and requests have ended. */
  close(): Promise<void> {
    return new Promise((resolve) => {
      this.#server.close(() => resolve());
      this.#server.closeAllConnections();
    });
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    // Bodies are not read: one would be taken for the next request.
    if (request.headers["content-length"] !== undefined || request.headers["transfer-encoding"] !== undefined) {
      response.setHeader("Connection", "close");
    }
    this.#connections.begin(request);
    const content = await this.#respond(request);
    if (typeof content.body === "string") this.#connections.end(response);
    try {
      send(response, content, request.method === "HEAD");
    } catch (error) {
      this.#options.failed(error);
      response.destroy();
    }
  }

  async #respond({ method = "", url = "", headers }: IncomingMessage): Promise<AdminResponse> {
    const [path, query] = splitTarget(url);
    const misdirected = this.#guard.checkHost(headers);
    if (misdirected) return misdirected;
    const found = this.#paths.find(path);
    if (!found) return textResponse(404, "not found");
    const { route, isGuarded } = found.route;
    const name = method === "HEAD" ? "GET" : method;
    const serve = Object.hasOwn(route, name) ? route[name] : undefined;
    if (!serve) return { ...textResponse(405, "method not allowed"), headers: { Allow: methodsOf(route) } };
    const unauthorized = this.#guard.authorize(headers);
    if (isGuarded && unauthorized) return unauthorized;
    try {
      const lastEventId = headers["last-event-id"];
      return await serve({
        params: found.params,
        query: new URLSearchParams(query),
        lastEventId: firstOf(lastEventId),
        isOperator: unauthorized === undefined,
      });
    } catch (error) {
      this.#options.failed(error);
      return textResponse(500, "internal error: see the log");
    }
  }
}

/** Path and query of a request's target. */
function splitTarget(url: string): [path: string, query: string] {
  const mark = url.indexOf("?");
  return mark < 0 ? [url, ""] : [url.slice(0, mark), url.slice(mark + 1)];
}

const firstOf = (value: string | string[] | undefined): string | undefined => (Array.isArray(value) ? value[0] : value);

function methodsOf(route: AdminRoute): string {
  const names = Object.keys(route);
  return (names.includes("GET") ? [...names, "HEAD"] : names).join(", ");
}

/** No cache may keep a response, and no browser may guess another content type. */
function send(response: ServerResponse, { status, type, body, headers }: AdminResponse, isHead: boolean): void {
  const isStream = typeof body !== "string";
  response.writeHead(status, {
    "Content-Type": type,
    ...(!isStream && { "Content-Length": Buffer.byteLength(body) }),
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    ...headers,
  });
  if (isHead || !isStream) response.end(isStream ? undefined : body);
  else body(response);
}

/** A request that is malformed, too large or too slow. */
function rejectRequest(error: NodeJS.ErrnoException | undefined, socket: Socket): void {
  socket.on("error", () => {}); // it may be gone already
  const isSlow = error?.code === "ERR_HTTP_REQUEST_TIMEOUT";
  const isLarge = error?.code === "HPE_HEADER_OVERFLOW";
  const status = isSlow ? "408 Request Timeout" : isLarge ? "431 Request Header Fields Too Large" : "400 Bad Request";
  if (socket.writable) socket.end(`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
  socket.destroySoon();
}

function failure(listen: string, cause: NodeJS.ErrnoException): M2pushError {
  const isInUse = cause.code === "EADDRINUSE";
  const reason = isInUse ? "another program, or another m2push, uses this address" : cause.message;
  const fix = `set [admin] listen to another address, or to "" to disable it`;
  return new M2pushError("link_failed", `cannot listen on ${listen}: ${reason}; fix: ${fix}`, { cause });
}
