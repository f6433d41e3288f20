/**
 * The HTTP server for operators, on node:http and an address of its own (loopback unless somebody decides otherwise): the
 * browsers' way through Mongrel2 never leads here. A table of routes by path, each with its methods; everything else is 404
 * or 405. Requests have no body; one that is sent is thrown away with the connection. No stranger can hold a connection for
 * longer than a few seconds, make the process crash, or write a line to the log at will.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { M2pushError } from "../../errors.js";
import { type AdminResponse, type AdminRoute, text } from "./admin-response.js";
import { Connections } from "./connections.js";
import { Guard } from "./guard.js";
import { Paths } from "./paths.js";

export interface AdminServerOptions {
  /** "host:port", as in "127.0.0.1:6780" or "[::1]:6780"; port 0 = a free one. */
  readonly listen: string;
  /** For whoever reaches the address, by path (see paths.ts). */
  readonly routes: ReadonlyMap<string, AdminRoute>;
  /** For operators, by path: see guard.ts. Absent = none. */
  readonly guarded?: ReadonlyMap<string, AdminRoute>;
  /** What operators show; absent and "" = none. */
  readonly token?: string;
  /** Connections at a time; absent = MOST. */
  readonly most?: number;
  /** There were as many: an idle one was closed. */
  readonly full?: () => void;
  /** A route failed, which is a mistake of ours, or a connection could not be taken. */
  readonly failed: (error: unknown) => void;
}

/** A request must have come in completely within this time, and an idle connection is closed after it; milliseconds. */
const PATIENCE = 5000;
/** How often node looks for those that have not, milliseconds. */
const CHECK_EVERY = 1000;
/** Connections at a time; for one more the one that has been idle for longest is closed. */
const MOST = 100;
const MAX_HEADER_BYTES = 8192;

interface Served {
  readonly route: AdminRoute;
  readonly isGuarded: boolean;
}

const served = (routes: ReadonlyMap<string, AdminRoute>, isGuarded: boolean): [path: string, served: Served][] =>
  [...routes].map(([path, route]) => [path, { route, isGuarded }]);

export class AdminServer {
  readonly #options: AdminServerOptions;
  readonly #guard: Guard;
  readonly #paths: Paths<Served>;
  readonly #server: Server;
  readonly #connections: Connections;

  constructor(options: AdminServerOptions) {
    this.#options = options;
    const { listen, token = "", routes, guarded = new Map() } = options;
    this.#guard = new Guard({ listen, token });
    this.#paths = new Paths([...served(routes, false), ...served(guarded, true)]);
    this.#server = createServer(
      {
        maxHeaderSize: MAX_HEADER_BYTES,
        headersTimeout: PATIENCE,
        requestTimeout: PATIENCE,
        keepAliveTimeout: PATIENCE,
        connectionsCheckingInterval: CHECK_EVERY,
      },
      (request, response) => void this.#serve(request, response),
    );
    const { most = MOST, full = () => {} } = options;
    this.#connections = new Connections({ most, reached: full });
    this.#server.on("connection", this.#connections.add);
    this.#server.on("clientError", refuse);
  }

  /** Rejects with "link_failed" when the address cannot be had. */
  start(): Promise<void> {
    const { listen } = this.#options;
    const at = listen.lastIndexOf(":");
    const host = listen.slice(0, at).replace(/^\[(.*)\]$/, "$1");
    return new Promise((resolve, reject) => {
      const failed = (cause: NodeJS.ErrnoException) => reject(failure(listen, cause));
      this.#server.once("error", failed);
      this.#server.listen({ host, port: Number(listen.slice(at + 1)) }, () => {
        this.#server.off("error", failed);
        // As when the process has no descriptor left for one more connection.
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

  /** Resolves when nothing is left: no socket, no request. */
  close(): Promise<void> {
    return new Promise((resolve) => {
      this.#server.close(() => resolve());
      this.#server.closeAllConnections();
    });
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    // A body is nothing we read, and what is not read stays in the way of the next request.
    if (request.headers["content-length"] !== undefined || request.headers["transfer-encoding"] !== undefined) {
      response.setHeader("Connection", "close");
    }
    this.#connections.begin(request);
    const answer = await this.#answer(request);
    if (typeof answer.body === "string") this.#connections.end(response);
    try {
      send(response, answer, request.method === "HEAD");
    } catch (error) {
      this.#options.failed(error);
      response.destroy();
    }
  }

  async #answer({ method = "", url = "", headers }: IncomingMessage): Promise<AdminResponse> {
    const [path, query] = cut(url);
    const misdirected = this.#guard.refuse(headers);
    if (misdirected) return misdirected;
    const found = this.#paths.find(path);
    if (!found) return text(404, "not found");
    const { route, isGuarded } = found.route;
    const name = method === "HEAD" ? "GET" : method;
    const answer = Object.hasOwn(route, name) ? route[name] : undefined;
    if (!answer) return { ...text(405, "method not allowed"), headers: { Allow: allowed(route) } };
    const refused = isGuarded ? this.#guard.refuseStranger(headers) : undefined;
    if (refused) return refused;
    try {
      const lastEventId = headers["last-event-id"];
      return await answer({ params: found.params, query: new URLSearchParams(query), lastEventId: one(lastEventId) });
    } catch (error) {
      this.#options.failed(error);
      return text(500, "internal error: see the log");
    }
  }
}

/** Path and query of a request's target. */
function cut(url: string): [path: string, query: string] {
  const mark = url.indexOf("?");
  return mark < 0 ? [url, ""] : [url.slice(0, mark), url.slice(mark + 1)];
}

const one = (value: string | string[] | undefined): string | undefined => (Array.isArray(value) ? value[0] : value);

function allowed(route: AdminRoute): string {
  const names = Object.keys(route);
  return (names.includes("GET") ? [...names, "HEAD"] : names).join(", ");
}

/** Nothing may keep a copy, or take the text for anything but what it is. */
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

/** What is no HTTP, too large or too slow. */
function refuse(error: NodeJS.ErrnoException | undefined, socket: Socket): void {
  socket.on("error", () => {}); // it may be gone already
  const slow = error?.code === "ERR_HTTP_REQUEST_TIMEOUT";
  const large = error?.code === "HPE_HEADER_OVERFLOW";
  const status = slow ? "408 Request Timeout" : large ? "431 Request Header Fields Too Large" : "400 Bad Request";
  if (socket.writable) socket.end(`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
  socket.destroySoon();
}

function failure(listen: string, cause: NodeJS.ErrnoException): M2pushError {
  const taken = cause.code === "EADDRINUSE";
  const why = taken ? "another program, or another m2push, has this address" : cause.message;
  const mend = `set [admin] listen to another one, or to "" for none`;
  return new M2pushError("link_failed", `cannot listen on ${listen}: ${why}; ${mend}`, { cause });
}
