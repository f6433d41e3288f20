/**
 * A native PULL, PUB or DEALER socket: bound, or connected and reconnected whenever its peer has gone. No complete message is dropped at a
 * limit: a peer with more queued bytes than its share of MAX_QUEUED_BYTES is not read. The memory of unfinished messages is
 * limited in sum: above it the peer with the largest one is disconnected.
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

/** Between two attempts to connect, shortened by up to a half. The first is the default of libzmq. */
const FIRST_RECONNECT_DELAY_MS = 100;
const MAX_RECONNECT_DELAY_MS = 1000;
/** Bytes of all peers that were read and not handled yet. */
const MAX_QUEUED_BYTES = 16_000_000;
/** Memory for unfinished messages of all peers. */
const MAX_UNFINISHED_BYTES = 16_000_000;
/**
 * Messages of a tick that taking in a connection counts for: it costs 0.1 to 0.2 ms. (With 300 connections that arrived in one turn an
 * event of another publisher was 307 ms late.)
 */
const ARRIVAL_MESSAGES = 48;
/** Connections that have not completed the handshake. */
const MAX_HANDSHAKE_COUNT = 1000;

export interface SocketOptions extends SocketRole {
  readonly spec: string;
  readonly bind: boolean;
  /** Limit for peers of a bound socket; absent = no limit. */
  readonly cap?: Pick<ConnectionCap, "maxConnections" | "limitReached"> | undefined;
  /** Returns a number from 0 up to 1, for the jitter of reconnects; absent = Math.random. */
  readonly random?: () => number;
  /** Bytes of messages that are emitted in one tick; absent = those of TickQueue. */
  readonly tickBytes?: number;
  /** Limit for connections that have not completed the handshake; absent = MAX_HANDSHAKE_COUNT. */
  readonly maxHandshakes?: number;
}

interface SocketEvents extends Omit<PeerEvents, "protocolError" | "failed"> {
  /** A peer of a bound socket was disconnected. */
  protocolError(error: ProtocolError, remote: string): void;
  /**
   * The address cannot be reached, is not that of a valid peer, or the bound socket cannot accept connections. Called once, until
   * recovered() or another reason.
   */
  failed(error: TransportError): void;
  /** The failure is over: a peer is ready. */
  recovered(): void;
  /** An established connection has ended with an error of the operating system. */
  broken(error: TransportError): void;
}

interface CloseOptions {
  /** How long peers may take to close their side; then their connections are destroyed. */
  readonly timeoutMs: number;
  /** A peer is half-closed only once nothing has arrived from it for so long, or after half of timeoutMs; absent = at once. */
  readonly quietMs?: number;
}

export class ZmqSocket implements SharedLimits {
  readonly #options: SocketOptions;
  readonly #events: SocketEvents;
  readonly #peerEvents: PeerEvents;
  /** All peers; and those that are not ready yet, oldest first. */
  readonly #peers = new Set<Peer>();
  readonly #handshakes = new Set<Peer>();
  readonly #tickQueue: TickQueue;
  readonly #outage: OutageFilter;
  readonly #backoff;
  #unfinishedBytes = 0;
  #server: Server | undefined;
  /** Address to connect to; undefined = the socket is bound. */
  #endpoint: Endpoint | undefined;
  #cancelReconnect: Cancel | undefined;
  #isClosing = false;
  #onEmpty: () => void = () => {};

  /** `closed` is not called for peers that never were ready. */
  constructor(options: SocketOptions, events: SocketEvents) {
    this.#options = options;
    this.#events = events;
    this.#tickQueue = new TickQueue(() => options.clock.monotonic(), options.tickBytes);
    this.#outage = new OutageFilter(options.clock);
    this.#backoff = backoff(FIRST_RECONNECT_DELAY_MS, MAX_RECONNECT_DELAY_MS, options.random ?? Math.random);
    this.#peerEvents = {
      ...events,
      ready: (peer) => this.#ready(peer),
      protocolError: (error, peer) => this.#protocolError(error, peer),
      failed: (error, peer) => this.#failed(error, peer),
      closed: (peer) => this.#closed(peer),
    };
  }

  /** Rejects with "link_failed" if the address is invalid or cannot be bound. A connecting socket resolves at once. */
  async start(): Promise<void> {
    const { spec, bind } = this.#options;
    try {
      await this.#start();
    } catch (cause) {
      throw endpointError(spec, bind, cause);
    }
  }

  /** Whether messages were read that are not emitted yet. */
  get hasBacklog(): boolean {
    return this.#tickQueue.hasBacklog;
  }

  /** Sends a PING to each peer that understands it; false if there is none. `pong` is called for each answer. */
  ping(): boolean {
    let isSent = false;
    for (const peer of this.#peers) isSent = peer.ping() || isSent;
    return isSent;
  }

  /** Ends every connection at once, and connects again. Messages on their way are lost. */
  reconnect(): void {
    this.#forEachPeer((peer) => peer.destroy());
  }

  /**
   * Accepts no further peers and half-closes the present ones. Resolves when everything that they sent is emitted; true = all of
   * them closed their side in time, and so have taken what was sent to them.
   */
  async close({ timeoutMs, quietMs = 0 }: CloseOptions): Promise<boolean> {
    const { clock } = this.#options;
    this.#stopAccepting();
    if (this.#peers.size === 0) return true;
    const emptied = this.#untilEmpty(timeoutMs);
    this.#halfCloseAll(quietMs);
    const stop = clock.after(timeoutMs / 2, () => this.#forEachPeer((peer) => peer.halfClose()));
    const isComplete = await emptied;
    stop();
    return isComplete;
  }

  /** See Transport.stopReceiving(). */
  async drain(draining: Draining): Promise<boolean> {
    this.#stopAccepting();
    if (this.#peers.size === 0) return false;
    this.#tickQueue.isPaused = true;
    const isFound = await halfCloseAtMark(this.#peers, draining, this.#options.clock, () => this.#halfCloseAll());
    const emptied = this.#untilEmpty(draining.endTimeoutMs);
    this.#tickQueue.isPaused = false;
    return (await emptied) && isFound;
  }

  #stopAccepting(): void {
    this.#isClosing = true;
    this.#cancelReconnect?.();
    this.#server?.close();
  }

  #halfCloseAll(quietMs = 0): void {
    this.#forEachPeer((peer) => (peer.isReady ? peer.halfClose(quietMs) : peer.destroy()));
  }

  /** Resolves when the last peer has gone: with true, or with false if some had to be destroyed after `timeoutMs`. */
  #untilEmpty(timeoutMs: number): Promise<boolean> {
    return new Promise((resolve) => {
      let isComplete = true;
      const stop = this.#options.clock.after(timeoutMs, () => {
        isComplete = false;
        this.#forEachPeer((peer) => peer.destroy());
      });
      this.#onEmpty = () => {
        stop();
        resolve(isComplete);
      };
    });
  }

  #forEachPeer(act: (peer: Peer) => void): void {
    for (const peer of [...this.#peers]) act(peer);
  }

  async #start(): Promise<void> {
    const { spec, bind } = this.#options;
    const endpoint = bind ? parseListenEndpoint(spec) : parseEndpoint(spec);
    if (!endpoint) throw new Error("expected tcp://host:port or ipc://path (ipc://@name from Node.js 22 on)");
    checkPathLength(endpoint);
    if (bind) this.#server = await this.#listen(endpoint);
    else this.#connect(endpoint);
  }

  async #listen(endpoint: Endpoint): Promise<Server> {
    // Nothing is read from a connection before its turn.
    const server = createServer({ pauseOnConnect: true }, (socket) => this.#arrive(socket));
    const { cap } = this.#options;
    if (cap) {
      server.maxConnections = cap.maxConnections;
      server.on("drop", cap.limitReached);
    }
    await listen(server, endpoint);
    // Once it listens, an error is that of one connection that could not be accepted.
    return server.on("error", (error: NodeJS.ErrnoException) => {
      if (this.#outage.shouldReport(error.code ?? "")) this.#events.failed(cannotAccept(this.#options.spec, error));
    });
  }

  #connect(endpoint: Endpoint): void {
    this.#endpoint = endpoint;
    this.#addPeer(connect(endpoint));
  }

  #arrive(socket: Socket): void {
    this.#tickQueue.addArrival({
      hasMore: false,
      work: (budget) => {
        budget.messages -= ARRIVAL_MESSAGES;
        if (this.#isClosing) socket.destroy();
        else this.#addPeer(socket);
        socket.resume();
        return false;
      },
    });
  }

  #addPeer(socket: Socket): void {
    const peer = new Peer(socket, this.#options, this, this.#peerEvents);
    this.#peers.add(peer);
    this.#handshakes.add(peer);
    const { maxHandshakes = MAX_HANDSHAKE_COUNT } = this.#options;
    if (this.#handshakes.size <= maxHandshakes) return;
    const [oldest] = this.#handshakes;
    const what = `more than ${maxHandshakes} connections have not completed the ZeroMQ handshake, and this is the oldest one`;
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
    const endpoint = this.#endpoint;
    if (endpoint && !this.#isClosing) {
      this.#cancelReconnect = this.#options.clock.after(this.#backoff.next(), () => this.#connect(endpoint));
    }
    if (this.#peers.size === 0) this.#onEmpty();
  }

  // ---- SharedLimits --------------------------------------------------------------------------------------------------

  get tickQueue(): TickQueue {
    return this.#tickQueue;
  }

  get maxQueuedBytes(): number {
    return this.#isClosing ? MAX_QUEUED_BYTES : MAX_QUEUED_BYTES / this.#peers.size;
  }

  unfinishedBytesChanged(bytes: number): void {
    this.#unfinishedBytes += bytes;
    // Aborting one peer is enough: the largest message has at least the added bytes.
    if (this.#unfinishedBytes > MAX_UNFINISHED_BYTES) this.#abortLargest();
  }

  #abortLargest(): void {
    let largest: Peer | undefined;
    for (const peer of this.#peers) if (!largest || peer.heldBytes > largest.heldBytes) largest = peer;
    largest?.abort(new ProtocolError("too_large", TOO_MUCH_UNFINISHED_MESSAGE));
  }
}

const TOO_MUCH_UNFINISHED_MESSAGE = `unfinished messages of all peers take more than ${MAX_UNFINISHED_BYTES} bytes, and this peer has the largest one`;
