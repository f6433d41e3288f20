/** A network between two: takes TCP connections for an address, and can cut or stall all of them while both ends go on. */
import { connect, createServer, type Server, type Socket } from "node:net";
import { freePort } from "./ports.js";

export class Relay {
  readonly spec: string;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  private constructor(port: number, target: number) {
    this.spec = `tcp://127.0.0.1:${port}`;
    this.#server = createServer((near) => {
      const far = connect(target, "127.0.0.1");
      near.pipe(far).pipe(near);
      for (const [socket, other] of [
        [near, far],
        [far, near],
      ] as const) {
        this.#sockets.add(socket);
        socket.on("error", () => {}); // it closes
        socket.on("close", () => {
          this.#sockets.delete(socket);
          other.destroy();
        });
      }
    }).listen(port, "127.0.0.1");
  }

  /** `spec`: tcp://127.0.0.1:PORT. */
  static async to(spec: string): Promise<Relay> {
    return new Relay(await freePort(), Number(spec.split(":").at(-1)));
  }

  /** Both ends hear that the connection is gone. New ones are taken at once. */
  cut(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  /** Nothing passes any more on the present connections, which stay open. New ones are not affected. */
  stall(): void {
    for (const socket of this.#sockets) socket.unpipe().pause();
  }

  close(): void {
    this.#server.close();
    this.cut();
  }
}
