/** A bound PULL socket for publishers' PUSH sockets. Where it has a TCP address there is a relay in front of it, see there. */
import { isIP } from "node:net";
import type { Pull } from "zeromq";
import type { Clock } from "../util/clock.js";
import { Relay } from "./relay.js";
import { attach, attached, pullSocket, receiveAll, watch } from "./sockets.js";

/** When closing, how long nothing must have come in, and how long to wait for each step at most; milliseconds. */
const QUIET = { after: 20, most: 1000 };
/**
 * The largest part of a message, bytes. libzmq gathers a part in memory, whatever its size, before anybody can say no to it; a
 * publisher that begins a larger one is cut off, connects again by itself and goes on with its next message.
 */
const LARGEST = 16_000_000;

export class PullServer {
  readonly #spec: string;
  readonly #clock: Clock;
  readonly #socket: Pull;
  readonly #front: Front | undefined;
  #receiving: Promise<void> = Promise.resolve();
  #received = 0;
  #closed: Promise<void> | undefined;

  constructor(spec: string, clock: Clock) {
    this.#spec = spec;
    this.#clock = clock;
    this.#socket = pullSocket("", LARGEST);
    const address = tcpAddress(spec);
    this.#front = address && { ...address, relay: new Relay() };
  }

  /** Rejects with "link.failed" when the address cannot be bound. */
  async start(receive: (parts: Buffer[]) => void): Promise<void> {
    const front = this.#front;
    watch(this.#socket, { connected: () => {}, disconnected: () => {} });
    await attach(this.#socket, front ? "tcp://127.0.0.1:*" : this.#spec, true);
    this.#receiving = receiveAll(this.#socket, (parts) => {
      this.#received++;
      receive(parts);
    });
    if (!front) return;
    const to = Number(this.#socket.lastEndpoint?.split(":").at(-1));
    await attached(front.relay.listen({ port: front.port, host: front.host, to }), this.#spec, true);
  }

  /**
   * Takes in what is on its way: a PUSH socket never hears that it was lost. Behind a relay that is all that was written to us;
   * else what comes before publishers first rest, if they ever do. Also when it was never started; the second time does nothing.
   */
  close(): Promise<void> {
    this.#closed ??= this.#end();
    return this.#closed;
  }

  async #end(): Promise<void> {
    await this.#front?.relay.close(QUIET.most);
    const latest = this.#clock.monotonic() + QUIET.most;
    for (let before = -1; before !== this.#received && this.#clock.monotonic() < latest; ) {
      before = this.#received;
      await new Promise<void>((resolve) => this.#clock.after(QUIET.after, resolve));
    }
    this.#socket.close();
    await this.#receiving;
  }
}

interface Address {
  readonly port: number;
  readonly host: string;
}

interface Front extends Address {
  readonly relay: Relay;
}

/** Absent where ZeroMQ must find the address out (names of interfaces, a free port), or it is none of TCP. */
function tcpAddress(spec: string): Address | undefined {
  const [, host = "", port = ""] = /^tcp:\/\/(.+):(\d{1,5})$/.exec(spec) ?? [];
  if (Number(port) < 1 || Number(port) > 65_535) return undefined;
  if (host === "*") return { port: Number(port), host: "0.0.0.0" };
  const bare = host.replace(/^\[(.*)\]$/, "$1");
  return isIP(bare) ? { port: Number(port), host: bare } : undefined;
}
