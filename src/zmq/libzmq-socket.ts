/**
 * One socket of the zeromq package: bound or connected, with its monitor and its receive loop. It is opened again by reconnect() and
 * after a failure of the loop. libzmq connects, and reconnects, in a thread of its own; only the monitor tells what happens there, so
 * its events are always read (unread ones block that thread: docs/architecture/mongrel2.md 2.9).
 */
import type { Observer, Socket } from "zeromq";
import type { ProtocolError } from "../errors.js";
import { backoff } from "../util/backoff.js";
import type { Cancel, Clock } from "../util/clock.js";
import { handshakeError } from "./libzmq-handshake-error.js";
import { checkIpcPath } from "./listen.js";
import { NO_CONNECTION, OutageFilter } from "./outage-filter.js";
import { connectionBroken, endpointError, noConnection, type TransportError, wrongPeer } from "./transport-error.js";

/** Between two attempts to connect, as in ZmqSocket. */
const FIRST_RECONNECT_DELAY_MS = 100;
const MAX_RECONNECT_DELAY_MS = 1000;
const CONNECT_TIMEOUT_MS = 5000;
/** Idle time before TCP keep-alive probes a connection. */
const TCP_KEEPALIVE_MS = 60_000;

/** Options of every socket. */
const COMMON_OPTIONS = {
  linger: 0,
  reconnectInterval: FIRST_RECONNECT_DELAY_MS,
  reconnectMaxInterval: MAX_RECONNECT_DELAY_MS,
  connectTimeout: CONNECT_TIMEOUT_MS,
  tcpKeepalive: 1,
  tcpKeepaliveIdle: TCP_KEEPALIVE_MS / 1000,
};

type CommonOptions = typeof COMMON_OPTIONS & { readonly ipv6: boolean };

/** A socket that receives; of the zeromq package's types only Publisher and Push do not. */
export type ReceivingSocket = Socket & { receive(): Promise<Buffer[]>; receiveTimeout: number };

export interface LibzmqSocketOptions<S extends ReceivingSocket> {
  readonly spec: string;
  readonly bind: boolean;
  readonly clock: Clock;
  /** Creates the socket; called again at each reconnect. */
  readonly create: (options: CommonOptions) => S;
}

export interface LibzmqSocketEvents {
  message(parts: Buffer[]): void;
  /** Called after each message: nothing further is received until the promise resolves; undefined = at once. */
  resumed?(): Promise<void> | undefined;
  /** A peer has completed the handshake. Its first message is emitted after that. */
  ready(): void;
  /** A peer that was ready has gone. */
  closed(): void;
  /** A peer failed the handshake with a bound socket; libzmq has disconnected it. */
  refused(error: ProtocolError): void;
  /** As in ZmqSocket: called once, until recovered() or another reason. */
  failed(error: TransportError): void;
  recovered(): void;
  /** The receive loop failed; the socket is opened again. */
  broken(error: TransportError): void;
}

export class LibzmqSocket<S extends ReceivingSocket> {
  readonly #options: LibzmqSocketOptions<S>;
  readonly #events: LibzmqSocketEvents;
  readonly #outage: OutageFilter;
  readonly #bindDelay = backoff(FIRST_RECONNECT_DELAY_MS, MAX_RECONNECT_DELAY_MS);
  #socket: S | undefined;
  /** The socket whose monitor counts: #socket, or the one that is being opened. */
  #monitored: S | undefined;
  #readyPeers = 0;
  /** Connections that have not completed the handshake; and those of them whose failure is reported and whose end is yet to come. */
  #handshakes = 0;
  #failedHandshakes = 0;
  #isClosed = false;
  #cancelReopen: Cancel = () => {};
  #cancelRevival: Cancel = () => {};
  /** Messages received: shows whether the loop has made progress. */
  #received = 0;
  /** Called when no message is available any more. */
  #onDrained: (() => void) | undefined;

  constructor(options: LibzmqSocketOptions<S>, events: LibzmqSocketEvents) {
    this.#options = options;
    this.#events = events;
    this.#outage = new OutageFilter(options.clock);
  }

  /** The open socket, for sending; undefined before start(), after close(), and while it cannot be bound again. */
  get socket(): S | undefined {
    return this.#socket;
  }

  /** Whether a peer has completed the handshake. */
  get isReady(): boolean {
    return this.#readyPeers > 0;
  }

  /** Rejects with "link_failed" if the address is invalid or cannot be bound. */
  async start(): Promise<void> {
    try {
      await this.#open();
    } catch (cause) {
      throw endpointError(this.#options.spec, this.#options.bind, cause);
    }
  }

  /** Ends every connection at once and opens the socket again. Messages on their way are lost. */
  reconnect(): void {
    if (this.#socket === undefined) return;
    // Only then is the address of a bound socket free.
    void this.#closeSocket(0).then(() => this.#reopen());
  }

  /** Resolves once everything that libzmq has handed over is emitted. To be called just before close(). */
  drain(): Promise<void> {
    const socket = this.#socket;
    if (socket === undefined) return Promise.resolve();
    return new Promise((resolve) => {
      this.#onDrained = resolve;
      socket.receiveTimeout = 0;
      // A receive() that waits in the poller does not end by itself. Two turns: a delayed receive() ends within one.
      const before = this.#received;
      setImmediate(() => setImmediate(() => this.#received === before && resolve()));
    });
  }

  /** Sends the queued messages for at most `lingerMs`, and closes the socket. Resolves when libzmq has done so. Never rejects. */
  async close(lingerMs: number): Promise<void> {
    this.#isClosed = true;
    this.#cancelReopen();
    this.#cancelRevival();
    await this.#closeSocket(lingerMs);
  }

  async #open(): Promise<void> {
    const { spec, bind, create } = this.#options;
    if (bind) await checkIpcPath(spec);
    const socket = create({ ...COMMON_OPTIONS, ipv6: spec.includes("[") });
    this.#monitored = socket;
    this.#watchMonitor(socket);
    try {
      if (bind) await socket.bind(spec);
      else socket.connect(spec);
    } catch (error) {
      socket.close();
      throw error;
    }
    if (this.#isClosed) {
      socket.close();
      return;
    }
    this.#socket = socket;
    void this.#receive(socket);
  }

  #reopen(): void {
    if (this.#isClosed) return;
    this.#open().then(
      () => this.#bindDelay.reset(),
      (cause) => {
        const error = endpointError(this.#options.spec, this.#options.bind, cause);
        if (this.#outage.shouldReport(error.errno)) this.#events.failed(error);
        this.#cancelReopen = this.#options.clock.after(this.#bindDelay.next(), () => this.#reopen());
      },
    );
  }

  async #closeSocket(lingerMs: number): Promise<void> {
    const socket = this.#socket;
    this.#socket = undefined;
    this.#monitored = undefined;
    if (socket === undefined) return;
    const ended = monitorEnd(socket.events);
    socket.linger = lingerMs;
    socket.close();
    for (; this.#readyPeers > 0; this.#readyPeers--) this.#events.closed();
    this.#handshakes = 0;
    this.#failedHandshakes = 0;
    this.#cancelRevival();
    await ended;
  }

  /** Ends when the socket is closed. An exception of `message` is a defect: it becomes an unhandled rejection, which ends the process. */
  async #receive(socket: S): Promise<void> {
    for (;;) {
      const parts = await this.#next(socket);
      if (parts === undefined || this.#socket !== socket) return;
      // The monitor is another queue: the event of this peer's handshake is in it, and read within one turn.
      if (this.#readyPeers === 0) await new Promise((resolve) => setImmediate(resolve));
      this.#received++;
      this.#events.message(parts);
      await this.#events.resumed?.();
    }
  }

  /** The next message; undefined = the loop ends. */
  async #next(socket: S): Promise<Buffer[] | undefined> {
    try {
      return await socket.receive();
    } catch (cause) {
      const isCurrent = this.#socket === socket;
      if (isCurrent && this.#onDrained === undefined) {
        this.#events.broken(connectionBroken(this.#options.spec, "", cause as NodeJS.ErrnoException));
        this.reconnect();
      }
      this.#onDrained?.();
      return undefined;
    }
  }

  #watchMonitor(socket: S): void {
    const { spec } = this.#options;
    const { events } = socket;
    const when = (act: () => void) => () => {
      if (this.#monitored === socket) act();
    };
    const connected = when(() => this.#handshakes++);
    const invalid = (reason: string) =>
      when(() => {
        this.#failedHandshakes++;
        this.#invalid(reason);
      })();
    events.on("accept", connected);
    events.on("connect", connected);
    events.on(
      "handshake",
      when(() => this.#ready()),
    );
    events.on(
      "disconnect",
      when(() => this.#disconnected()),
    );
    events.on("handshake:error:protocol", ({ error }) => invalid(error.code));
    events.on("handshake:error:auth", ({ error }) => invalid(`status ${error.status}`));
    events.on("handshake:error:other", ({ error }) => invalid(error.code));
    const retried = () => {
      this.#cancelRevival();
      if (this.#outage.shouldReport(NO_CONNECTION)) this.#events.failed(noConnection(spec));
    };
    events.on("connect:retry", when(retried));
  }

  #ready(): void {
    this.#handshakes--;
    this.#readyPeers++;
    if (this.#outage.recovered()) this.#events.recovered();
    this.#events.ready();
  }

  /** The event does not name the connection: while a handshake is under way, it is taken for the one that ended. */
  #disconnected(): void {
    this.#reviveLater();
    if (this.#handshakes > 0) {
      this.#handshakes--;
      if (this.#failedHandshakes > 0) this.#failedHandshakes--;
      else this.#invalid("");
    } else if (this.#readyPeers > 0) {
      this.#readyPeers--;
      this.#events.closed();
    }
  }

  /** After a protocol error libzmq does not connect again, and does not say so: there is no "connect:retry" then. */
  #reviveLater(): void {
    const { bind, clock } = this.#options;
    if (bind) return;
    this.#cancelRevival();
    this.#cancelRevival = clock.after(MAX_RECONNECT_DELAY_MS, () => this.reconnect());
  }

  #invalid(reason: string): void {
    const { spec, bind } = this.#options;
    const error = handshakeError(reason);
    if (bind) this.#events.refused(error);
    else if (this.#outage.shouldReport(error.message)) this.#events.failed(wrongPeer(spec, error));
  }
}

function monitorEnd(events: Observer): Promise<void> {
  return new Promise((resolve) => {
    events.on("end", () => resolve());
  });
}
