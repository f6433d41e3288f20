/**
 * The connections of the admin address. Where there are as many as there may be, a new one takes the place of that which has been idle
 * for longest: whoever opens connections and leaves them must not keep a probe out. A connection is idle unless an answer is being
 * made for it or it watches a stream.
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Socket } from "node:net";

export interface ConnectionsOptions {
  readonly most: number;
  /** One was closed to make room. */
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
    if (this.#idle.size + this.#busy.size >= this.#options.most) {
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

  /** An answer is being made. */
  begin({ socket }: IncomingMessage): void {
    if (this.#idle.delete(socket)) this.#busy.add(socket);
  }

  /** The answer is written, which may take as long as its reader likes. A stream goes on: nothing is said of its end. */
  end({ socket }: ServerResponse): void {
    if (socket && this.#busy.delete(socket)) this.#idle.add(socket);
  }
}
