/**
 * A PULL, PUB or DEALER socket of ours: bound, or connected, and connected again whenever its peer has gone. Nothing that is sent or received
 * is dropped at a limit; where more waits to be taken than MOST_WAITING, those who send it are held up.
 */
import { once } from "node:events";
import { unlinkSync } from "node:fs";
import { connect, createServer, type Server, type Socket } from "node:net";
import type { Cancel, Clock } from "../util/clock.js";
import { listeningPlaceOf, type Place, placeOf } from "./address.js";
import { linkFailed } from "./failure.js";
import { Peer, type PeerEvents, type Role } from "./peer.js";
import { Turns } from "./turns.js";

/** Between two attempts to connect, milliseconds: as libzmq has it. */
const RECONNECT = 100;
/** Bytes. */
const MOST_WAITING = 64_000_000;

export interface SocketOptions extends Role {
  readonly spec: string;
  readonly bind: boolean;
  readonly clock: Clock;
}

export interface Ending {
  /** How long peers may take for what is on its way, milliseconds. */
  readonly patience: number;
  /** For half of that time each peer is let go of only where nothing came from it for so long, milliseconds. */
  readonly silence?: number;
}

export class ZmqSocket {
  readonly #options: SocketOptions;
  readonly #events: PeerEvents;
  /** Those that are not ready yet, too. */
  readonly #peers = new Set<Peer>();
  readonly #turns = new Turns(MOST_WAITING, (isFull) => {
    for (const peer of this.#peers) peer.held = isFull;
  });
  #server: Server | undefined;
  #again: Cancel | undefined;
  #isClosing = false;
  #emptied: () => void = () => {};

  /** Of peers that never were ready no `closed` is told. */
  constructor(options: SocketOptions, events: PeerEvents) {
    this.#options = options;
    this.#events = events;
  }

  /** Rejects with "link.failed" where the address is none, or cannot be bound. Where it connects, that goes on by itself. */
  async start(): Promise<void> {
    const { spec, bind } = this.#options;
    try {
      await this.#start();
    } catch (cause) {
      throw linkFailed(spec, bind, cause);
    }
  }

  /** More has been read than was handed on yet. */
  get isBehind(): boolean {
    return this.#turns.isBehind;
  }

  /** Ends every connection at once; where it connects, it connects again. What was on its way is lost. */
  reconnect(): void {
    this.#each((peer) => peer.destroy());
  }

  /** Sends a PING to each peer that understands it; false when there is none. `pong` tells of each answer. */
  ping(): boolean {
    let asked = false;
    for (const peer of this.#peers) asked = peer.ping() || asked;
    return asked;
  }

  /** Takes nobody any more, and lets go of those that there are. Resolves when all that they had sent has been handed on. */
  async close({ patience, silence = 0 }: Ending): Promise<void> {
    const { clock } = this.#options;
    this.#isClosing = true;
    this.#again?.();
    this.#server?.close();
    if (this.#peers.size === 0) return;
    const emptied = new Promise<void>((resolve) => {
      this.#emptied = resolve;
    });
    this.#each((peer) => (peer.isReady ? peer.end(silence) : peer.destroy()));
    const stops = [
      clock.after(patience / 2, () => this.#each((peer) => peer.end())),
      clock.after(patience, () => this.#each((peer) => peer.destroy())),
    ];
    await emptied;
    for (const stop of stops) stop();
  }

  #each(act: (peer: Peer) => void): void {
    for (const peer of [...this.#peers]) act(peer);
  }

  async #start(): Promise<void> {
    const { spec, bind } = this.#options;
    const place = bind ? listeningPlaceOf(spec) : placeOf(spec);
    if (!place) throw new Error("tcp://host:port or ipc://path is needed (ipc://@name from Node.js 22 on)");
    if (bind) this.#server = await this.#listen(place);
    else this.#connect(place);
  }

  async #listen(place: Place): Promise<Server> {
    const server = createServer((socket) => this.#join(socket));
    try {
      await once(server.listen(place), "listening");
    } catch (error) {
      if (!("path" in place) || !(await isLeftOver(place, error))) throw error;
      unlinkSync(place.path);
      await once(server.listen(place), "listening");
    }
    // From now on it is one connection that could not be taken (too many files are open).
    return server.on("error", () => {});
  }

  #connect(place: Place): void {
    this.#join(connect(place), () => {
      if (!this.#isClosing) this.#again = this.#options.clock.after(RECONNECT, () => this.#connect(place));
    });
  }

  #join(socket: Socket, left: () => void = () => {}): void {
    const { ready, message, pong, cut, closed } = this.#events;
    const leave = (peer: Peer) => {
      this.#peers.delete(peer);
      if (peer.isReady) closed(peer);
      left();
      if (this.#peers.size === 0) this.#emptied();
    };
    const peer = new Peer(socket, this.#options, this.#turns, { ready, message, pong, cut, closed: leave });
    if (this.#turns.isFull) peer.held = true;
    this.#peers.add(peer);
  }
}

/** Whether the file of a socket that could not be bound is of a process that is gone. */
async function isLeftOver(place: Place, error: unknown): Promise<boolean> {
  if ((error as NodeJS.ErrnoException).code !== "EADDRINUSE") return false;
  const socket = connect(place);
  try {
    await once(socket, "connect");
    return false;
  } catch (cause) {
    return (cause as NodeJS.ErrnoException).code === "ECONNREFUSED";
  } finally {
    socket.destroy();
  }
}
