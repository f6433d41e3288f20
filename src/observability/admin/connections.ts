/**
 * The connections of the admin address. At the limit a new one replaces the one that has been idle for longest: idle connections must not
 * keep a probe out. A connection is idle unless a response is being made for it or it reads a stream.
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Socket } from "node:net";

export interface ConnectionsOptions {
  readonly maxConnections: number;
  /** The limit was reached, and a connection was closed. */
  readonly reached: () => void;
}

export class Connections {
  readonly #options: ConnectionsOptions;
  /** In the order in which they became idle. */
  readonly #idle = new Set<Socket>();
  readonly #busy = new Set<Socket>();

  constructor(options: ConnectionsOptions) {
    this.#options = options;
  }

  /** A connection was accepted. It is closed itself where none is idle. */
  readonly add = (socket: Socket): void => {
    if (this.#idle.size + this.#busy.size >= this.#options.maxConnections) {
      const [oldest = socket] = this.#idle;
      oldest.destroy();
      this.#idle.delete(oldest);
      this.#options.reached();
      if (oldest === socket) return;
    }
    this.#idle.add(socket);
    socket.once("close", () => {
      this.#idle.delete(socket);
      this.#busy.delete(socket);
    });
  };

  /** A response is being made. */
  begin({ socket }: IncomingMessage): void {
    if (this.#idle.delete(socket)) this.#busy.add(socket);
  }

  /** The response is handed to the socket. Not called for a stream, which ends with its connection. */
  end({ socket }: ServerResponse): void {
    if (socket && this.#busy.delete(socket)) this.#idle.add(socket);
  }
}
