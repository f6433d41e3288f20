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
  #relay: Relay | undefined;
  #receiving: Promise<void> = Promise.resolve();
  #received = 0;

  constructor(spec: string, clock: Clock) {
    this.#spec = spec;
    this.#clock = clock;
    this.#socket = pullSocket("", LARGEST);
  }

  /** Rejects with "link.failed" when the address cannot be bound. */
  async start(receive: (parts: Buffer[]) => void): Promise<void> {
    watch(this.#socket, { connected: () => {}, disconnected: () => {} });
    const address = tcpAddress(this.#spec);
    await attach(this.#socket, address ? "tcp://127.0.0.1:*" : this.#spec, true);
    this.#receiving = receiveAll(this.#socket, (parts) => {
      this.#received++;
      receive(parts);
    });
    if (!address) return;
    const to = Number(this.#socket.lastEndpoint?.split(":").at(-1));
    this.#relay = await attached(Relay.open({ ...address, to }), this.#spec, true);
  }

  /**
   * Takes in what is on its way: a PUSH socket never hears that it was lost. Behind a relay that is all that was written to us;
   * else what comes before publishers first rest, if they ever do.
   */
  async close(): Promise<void> {
    await this.#relay?.close(QUIET.most);
    const latest = this.#clock.monotonic() + QUIET.most;
    for (let before = -1; before !== this.#received && this.#clock.monotonic() < latest; ) {
      before = this.#received;
      await new Promise<void>((resolve) => this.#clock.after(QUIET.after, resolve));
    }
    this.#socket.close();
    await this.#receiving;
  }
}

/** Absent where ZeroMQ must find the address out (names of interfaces, a free port), or it is none of TCP. */
function tcpAddress(spec: string): { readonly port: number; readonly host: string } | undefined {
  const [, host = "", port = ""] = /^tcp:\/\/(.+):(\d{1,5})$/.exec(spec) ?? [];
  if (Number(port) < 1 || Number(port) > 65_535) return undefined;
  if (host === "*") return { port: Number(port), host: "0.0.0.0" };
  const bare = host.replace(/^\[(.*)\]$/, "$1");
  return isIP(bare) ? { port: Number(port), host: bare } : undefined;
}
