/**
 * A PULL, PUB or DEALER socket of ours: bound, or connected, and connected again whenever its peer has gone. Nothing that was sent or received
 * whole is dropped at a limit: a peer of which more waits than its share of MAX_QUEUED_BYTES is held up. What peers leave
 * unfinished is limited in sum: beyond it the one that holds most is cut off. Long because it is what all sockets have in common.
 */
import { connect, createServer, type Server, type Socket } from "node:net";
import { ProtocolError } from "../errors.js";
import { backoff } from "../util/backoff.js";
import type { Cancel } from "../util/clock.js";
import type { ConnectionCap } from "../util/descriptors.js";
import { type Endpoint, parseEndpoint, parseListenEndpoint } from "./endpoint.js";
import { halfCloseAtMark } from "./half-close-at-mark.js";
import { checkPathLength, listen } from "./listen.js";
import { OutageFilter } from "./outage-filter.js";
import { Peer, type PeerEvents, type SharedLimits, type SocketRole } from "./peer.js";
import { TickQueue } from "./tick-queue.js";
import type { Draining } from "./transport.js";
import { cannotAccept, connectionBroken, endpointError, type TransportError, wrongPeer } from "./transport-error.js";

/** Between two attempts to connect, milliseconds; up to a half less. The first: as libzmq has it. */
const RECONNECT_DELAY_MS = { first: 100, last: 1000 };
/** What was read and is not handled yet, of all peers. */
const MAX_QUEUED_BYTES = 16_000_000;
/** Memory for messages that have begun and not ended, of all peers. */
const MAX_UNFINISHED_BYTES = 16_000_000;
/** Connections that have not said READY yet. */
const MAX_HANDSHAKE_COUNT = 1000;

export interface SocketOptions extends SocketRole {
  readonly spec: string;
  readonly bind: boolean;
  /** How many peers a bound socket may have; absent = any number. */
  readonly cap?: Pick<ConnectionCap, "maxConnections" | "limitReached"> | undefined;
  /** For the jitter of reconnects: 0 to 1. Absent: Math.random. */
  readonly random?: () => number;
  /** Connections that have not said READY. Absent: MAX_HANDSHAKES. */
  readonly maxHandshakes?: number;
}

export interface SocketEvents extends Omit<PeerEvents, "protocolError" | "failed"> {
  /** A peer that connected to us was cut off. */
  protocolError(error: ProtocolError, remote: string): void;
  /**
   * The address cannot be reached, is not that of a peer for us, or no connection can be taken there. Told once, until it ends or has
   * another reason.
   */
  failed(error: TransportError): void;
  /** What failed() told is over: a peer is ready. */
  recovered(): void;
  /** A connection that was up has ended with an error of the operating system. */
  broken(error: TransportError): void;
}

export interface CloseOptions {
  /** How long peers may take for what is on its way, milliseconds. */
  readonly timeoutMs: number;
  /** For half of that time each peer is let go of only where nothing came from it for so long, milliseconds. */
  readonly quietMs?: number;
}

export class ZmqSocket implements SharedLimits {
  readonly #options: SocketOptions;
  readonly #events: SocketEvents;
  readonly #peerEvents: PeerEvents;
  /** Those that are not ready yet, too; and those alone, in the order in which they came. */
  readonly #peers = new Set<Peer>();
  readonly #handshakes = new Set<Peer>();
  readonly #tickQueue = new TickQueue();
  readonly #outage: OutageFilter;
  readonly #backoff;
  #unfinishedBytes = 0;
  #server: Server | undefined;
  /** Where to connect; undefined: bound. */
  #endpoint: Endpoint | undefined;
  #cancelReconnect: Cancel | undefined;
  #isClosing = false;
  #onEmpty: () => void = () => {};

  /** Of peers that never were ready no `closed` is told. */
  constructor(options: SocketOptions, events: SocketEvents) {
    this.#options = options;
    this.#events = events;
    this.#outage = new OutageFilter(options.clock);
    this.#backoff = backoff(RECONNECT_DELAY_MS.first, RECONNECT_DELAY_MS.last, options.random ?? Math.random);
    this.#peerEvents = {
      ...events,
      ready: (peer) => this.#ready(peer),
      protocolError: (error, peer) => this.#protocolError(error, peer),
      failed: (error, peer) => this.#failed(error, peer),
      closed: (peer) => this.#closed(peer),
    };
  }

  /** Rejects with "link_failed" where the address is none, or cannot be bound. Where it connects, that goes on by itself. */
  async start(): Promise<void> {
    const { spec, bind } = this.#options;
    try {
      await this.#start();
    } catch (cause) {
      throw endpointError(spec, bind, cause);
    }
  }

  /** More has been read than was handed on yet. */
  get hasBacklog(): boolean {
    return this.#tickQueue.hasBacklog;
  }

  /** Sends a PING to each peer that understands it; false when there is none. `pong` tells of each answer. */
  ping(): boolean {
    let asked = false;
    for (const peer of this.#peers) asked = peer.ping() || asked;
    return asked;
  }

  /** Ends every connection at once; where it connects, it connects again. What was on its way is lost. */
  reconnect(): void {
    this.#forEachPeer((peer) => peer.destroy());
  }

  /**
   * Takes nobody any more, and lets go of those that there are. Resolves when all that they had sent has been handed on, with
   * whether all of them ended by themselves, so that what was sent to them has been taken.
   */
  async close({ timeoutMs: patience, quietMs: silence = 0 }: CloseOptions): Promise<boolean> {
    const { clock } = this.#options;
    this.#stopAccepting();
    if (this.#peers.size === 0) return true;
    const emptied = this.#untilEmpty(patience);
    this.#halfCloseAll(silence);
    const stop = clock.after(patience / 2, () => this.#forEachPeer((peer) => peer.halfClose()));
    const isOver = await emptied;
    stop();
    return isOver;
  }

  /** See Transport.stopReceiving(). */
  async drain(draining: Draining): Promise<boolean> {
    this.#stopAccepting();
    if (this.#peers.size === 0) return false;
    this.#tickQueue.isPaused = true;
    const isSeen = await halfCloseAtMark(this.#peers, draining, this.#options.clock, () => this.#halfCloseAll());
    const emptied = this.#untilEmpty(draining.endTimeoutMs);
    this.#tickQueue.isPaused = false;
    return (await emptied) && isSeen;
  }

  #stopAccepting(): void {
    this.#isClosing = true;
    this.#cancelReconnect?.();
    this.#server?.close();
  }

  #halfCloseAll(silence = 0): void {
    this.#forEachPeer((peer) => (peer.isReady ? peer.halfClose(silence) : peer.destroy()));
  }

  /** Resolves when the last peer has gone; those that are there after `timeoutMs` are cut off, and it resolves with false. */
  #untilEmpty(timeoutMs: number): Promise<boolean> {
    return new Promise((resolve) => {
      let isOver = true;
      const stop = this.#options.clock.after(timeoutMs, () => {
        isOver = false;
        this.#forEachPeer((peer) => peer.destroy());
      });
      this.#onEmpty = () => {
        stop();
        resolve(isOver);
      };
    });
  }

  #forEachPeer(act: (peer: Peer) => void): void {
    for (const peer of [...this.#peers]) act(peer);
  }

  async #start(): Promise<void> {
    const { spec, bind } = this.#options;
    const place = bind ? parseListenEndpoint(spec) : parseEndpoint(spec);
    if (!place) throw new Error("tcp://host:port or ipc://path is needed (ipc://@name from Node.js 22 on)");
    checkPathLength(place);
    if (bind) this.#server = await this.#listen(place);
    else this.#connect(place);
  }

  async #listen(place: Endpoint): Promise<Server> {
    const server = createServer((socket) => this.#addPeer(socket));
    const { cap } = this.#options;
    if (cap) {
      server.maxConnections = cap.maxConnections;
      server.on("drop", cap.limitReached);
    }
    await listen(server, place);
    // From now on it is one connection that could not be taken.
    return server.on("error", (error: NodeJS.ErrnoException) => {
      if (this.#outage.shouldReport(error.code ?? "")) this.#events.failed(cannotAccept(this.#options.spec, error));
    });
  }

  #connect(place: Endpoint): void {
    this.#endpoint = place;
    this.#addPeer(connect(place));
  }

  #addPeer(socket: Socket): void {
    const peer = new Peer(socket, this.#options, this, this.#peerEvents);
    this.#peers.add(peer);
    this.#handshakes.add(peer);
    const { maxHandshakes = MAX_HANDSHAKE_COUNT } = this.#options;
    if (this.#handshakes.size <= maxHandshakes) return;
    const [oldest] = this.#handshakes;
    const what = `more than ${maxHandshakes} connections have not finished the ZeroMQ handshake, and this is the oldest one`;
    oldest?.abort(new ProtocolError("too_large", what));
  }

  #ready(peer: Peer): void {
    this.#handshakes.delete(peer);
    this.#backoff.reset();
    if (this.#outage.recovered()) this.#events.recovered();
    this.#events.ready(peer);
  }

  #protocolError(error: ProtocolError, peer: Peer): void {
    this.#handshakes.delete(peer);
    const { spec, bind } = this.#options;
    if (bind) this.#events.protocolError(error, peer.remote);
    else if (this.#outage.shouldReport(error.message)) this.#events.failed(wrongPeer(spec, error));
  }

  #failed(error: NodeJS.ErrnoException, peer: Peer): void {
    const { spec, bind } = this.#options;
    if (bind || peer.isReady) this.#events.broken(connectionBroken(spec, peer.remote, error));
    else if (this.#outage.shouldReport(error.code ?? "")) this.#events.failed(endpointError(spec, false, error));
  }

  #closed(peer: Peer): void {
    this.#peers.delete(peer);
    this.#handshakes.delete(peer);
    if (peer.isReady) this.#events.closed(peer);
    const place = this.#endpoint;
    if (place && !this.#isClosing) {
      this.#cancelReconnect = this.#options.clock.after(this.#backoff.next(), () => this.#connect(place));
    }
    if (this.#peers.size === 0) this.#onEmpty();
  }

  // ---- Shares: what peers have together ------------------------------------------------------------------------------

  get tickQueue(): TickQueue {
    return this.#tickQueue;
  }

  get maxQueuedBytes(): number {
    return this.#isClosing ? MAX_QUEUED_BYTES : MAX_QUEUED_BYTES / this.#peers.size;
  }

  unfinishedBytesChanged(bytes: number): void {
    this.#unfinishedBytes += bytes;
    // One is enough: it holds at least what has just been added.
    if (this.#unfinishedBytes > MAX_UNFINISHED_BYTES) this.#abortLargest();
  }

  #abortLargest(): void {
    let largest: Peer | undefined;
    for (const peer of this.#peers) if (!largest || peer.heldBytes > largest.heldBytes) largest = peer;
    largest?.abort(new ProtocolError("too_large", TOO_MUCH_UNFINISHED_MESSAGE));
  }
}

const TOO_MUCH_UNFINISHED_MESSAGE = `unfinished messages of all peers take more than ${MAX_UNFINISHED_BYTES} bytes, and this peer has the largest one`;
