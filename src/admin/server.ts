/**
 * The HTTP server for operators, on node:http and an address of its own (loopback unless somebody decides otherwise): the
 * browsers' way through Mongrel2 never leads here. A table of routes by exact path, each with its methods; everything else is
 * 404 or 405. Requests have no body; one that is sent is thrown away with the connection. Nothing that comes in can hold a
 * connection for longer than a few seconds, make the process crash, or write a line to the log at will.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { M2pushError } from "../errors.js";

export interface AdminAnswer {
  readonly status: number;
  /** Content-Type. */
  readonly type: string;
  readonly body: string;
}

/** Answers one method of one path. What it throws or rejects with becomes a 500 and is told to `failed`. */
export type AdminMethod = () => AdminAnswer | Promise<AdminAnswer>;

/** By method; a GET answers HEAD, too. */
export type AdminRoute = Readonly<Record<string, AdminMethod>>;

export interface AdminServerOptions {
  /** "host:port", as in "127.0.0.1:6780" or "[::1]:6780"; port 0 = a free one. */
  readonly listen: string;
  /** By exact path. */
  readonly routes: ReadonlyMap<string, AdminRoute>;
  /** A route failed, which is a mistake of ours, or a connection could not be taken. */
  readonly failed: (error: unknown) => void;
}

/** A request must have come in completely within this time, and an idle connection is closed after it; milliseconds. */
const PATIENCE = 5000;
/** How often node looks for those that have not, milliseconds. */
const CHECK_EVERY = 1000;
/** Connections at a time; more are closed at once. */
const MOST = 100;
const MAX_HEADER_BYTES = 8192;

const TEXT = "text/plain; charset=utf-8";

export class AdminServer {
  readonly #options: AdminServerOptions;
  readonly #server: Server;

  constructor(options: AdminServerOptions) {
    this.#options = options;
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
    this.#server.maxConnections = MOST;
    this.#server.on("clientError", refuse);
  }

  /** Rejects with "link.failed" when the address cannot be had. */
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
    send(response, await this.#answer(request));
  }

  async #answer(request: IncomingMessage): Promise<AdminAnswer & { allow?: string }> {
    const { method = "", url = "" } = request;
    const path = url.split("?", 1)[0] ?? "";
    const route = this.#options.routes.get(path);
    if (!route) return { status: 404, type: TEXT, body: "not found\n" };
    const name = method === "HEAD" ? "GET" : method;
    const answer = Object.hasOwn(route, name) ? route[name] : undefined;
    if (!answer) return { status: 405, type: TEXT, body: "method not allowed\n", allow: allowed(route) };
    try {
      return await answer();
    } catch (error) {
      this.#options.failed(error);
      return { status: 500, type: TEXT, body: "internal error: see the log\n" };
    }
  }
}

function allowed(route: AdminRoute): string {
  const names = Object.keys(route);
  return (names.includes("GET") ? [...names, "HEAD"] : names).join(", ");
}

/** Nothing may keep a copy, or take the text for anything but what it is. */
function send(response: ServerResponse, { status, type, body, allow }: AdminAnswer & { allow?: string }): void {
  response.writeHead(status, {
    "Content-Type": type,
    "Content-Length": Buffer.byteLength(body),
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    ...(allow !== undefined && { Allow: allow }),
  });
  response.end(body);
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
  return new M2pushError("link.failed", `cannot listen on ${listen}: ${why}; ${mend}`, { cause });
}
