/**
 * Transport to one Mongrel2 over the zeromq package (libzmq): a PULL socket and an XPUB socket, which is a PUB socket that shows the
 * subscriptions. It costs four times the CPU of NativeTransport for each message (docs/decisions/0010-native-zmtp-beside-libzmq.md)
 * and cannot half-close a connection: a stop may lose requests that Mongrel2 has sent (docs/decisions/0047-two-implementations-of-zeromq.md).
 */
import type { Pull, XPublisher } from "zeromq";
import { ProtocolError } from "../errors.js";
import { type Clock, waitAtMost } from "../util/clock.js";
import { type CurveKeys, CurveServer } from "./curve.js";
import { LibzmqSocket } from "./libzmq-socket.js";
import { LINGER_MS, MAX_REQUEST_BYTES, SEVERAL_PARTS, TOO_LARGE, TRUNCATED_REQUEST_BYTES } from "./link-limits.js";
import type { Draining, Receiver, Transport, TransportObserver } from "./transport.js";
import { connectionBroken, type TransportError } from "./transport-error.js";

export interface LibzmqTransportOptions {
  /** Address at which Mongrel2 sends requests. */
  readonly sendSpec: string;
  /** Address at which Mongrel2 receives replies. */
  readonly recvSpec: string;
  /** Binds both sockets instead of connecting them. */
  readonly bind: boolean;
  readonly clock: Clock;
  /** Both sockets are CURVE servers; absent = the mechanism NULL. */
  readonly curve?: CurveKeys | undefined;
  /** Absent = connection errors are not reported. */
  readonly observer?: TransportObserver;
}

/** First byte of a message of an XPUB socket: 1 = a peer subscribes; 0 = it unsubscribes, or has gone. */
const SUBSCRIBE_CODE = 1;
const XPUB_OPTIONS = {
  verbosity: "allSubsUnsubs",
  // Otherwise libzmq keeps messages for a peer that has gone, and sends them to the next Mongrel2.
  immediate: true,
  // Fences bound what is under way (docs/decisions/0012-fences-for-flow-control.md); a limit would drop messages.
  sendHighWaterMark: 0,
  // send() then never waits for the poller, and so never fails with EBUSY.
  sendTimeout: 0,
} as const;

export class LibzmqTransport implements Transport {
  readonly #options: LibzmqTransportOptions;
  #receiver: Receiver | undefined;
  #pull: LibzmqSocket<Pull> | undefined;
  #pub: LibzmqSocket<XPublisher> | undefined;
  /** Subscriptions of all peers. Mongrel2 has one: its recv_ident. */
  #subscriptions = 0;
  #curve: CurveServer | undefined;
  #isClosed = false;
  /** The mark of stopReceiving(), and what its arrival calls. */
  #mark: { readonly bytes: Buffer; readonly found: () => void } | undefined;

  constructor(options: LibzmqTransportOptions) {
    this.#options = options;
  }

  async start(receiver: Receiver): Promise<void> {
    // Loaded on demand: the library costs memory and a thread.
    const { Pull, XPublisher } = await import("zeromq");
    const { sendSpec, recvSpec, bind, clock, observer, curve } = this.#options;
    this.#curve = curve && (await CurveServer.start(curve));
    const curveOptions = this.#curve?.options;
    this.#receiver = receiver;
    // PULL first: a Mongrel2 whose notices are not read stops reading replies (docs/architecture/mongrel2.md 2.8).
    this.#pull = new LibzmqSocket(
      { spec: sendSpec, bind, clock, create: (common) => new Pull({ ...common, ...curveOptions }) },
      {
        ...this.#observe(sendSpec, receiver),
        ready: () => receiver.connected("in"),
        closed: () => receiver.disconnected("in"),
        message: (parts) => this.#receive(parts, receiver),
      },
    );
    this.#pub = new LibzmqSocket(
      {
        spec: recvSpec,
        bind,
        clock,
        create: (common) => new XPublisher({ ...common, ...XPUB_OPTIONS, ...curveOptions }),
      },
      {
        ...this.#observe(recvSpec, receiver),
        broken: (error) => {
          this.#dropSubscriptions();
          observer?.broken(error);
        },
        ready() {},
        closed() {},
        message: ([message]) => this.#subscribe(message?.[0] === SUBSCRIBE_CODE),
      },
    );
    await this.#pull.start();
    await this.#pub.start();
  }

  send(head: Buffer, body: Buffer): void {
    if (this.#isClosed) return;
    const { observer, recvSpec } = this.#options;
    const failed = (error: NodeJS.ErrnoException) => observer?.broken(connectionBroken(recvSpec, "", error));
    this.#pub?.socket?.send(Buffer.concat([head, body])).catch(failed);
  }

  reconnect(): void {
    this.#pub?.reconnect();
    this.#dropSubscriptions();
    this.#pull?.reconnect();
  }

  /**
   * libzmq drops what it has not handed over when a socket closes. So messages are received until the mark arrives or the timeout ends;
   * what comes behind the mark may be lost, and Mongrel2 may have sent it.
   */
  async stopReceiving({ mark, markTimeoutMs }: Draining): Promise<boolean> {
    const { clock } = this.#options;
    const found = new Promise<void>((resolve) => {
      this.#mark = { bytes: mark, found: resolve };
    });
    if (this.#pull?.isReady === true) await waitAtMost(clock, markTimeoutMs, found);
    this.#mark = undefined;
    await this.#pull?.drain();
    await this.#pull?.close(0);
    return false;
  }

  ping(): boolean {
    return false;
  }

  /** Resolves with false: libzmq does not tell whether the peers have taken the messages. */
  async close(): Promise<boolean> {
    this.#isClosed = true;
    const isPubClosed = this.#pub?.close(LINGER_MS);
    this.#dropSubscriptions();
    await isPubClosed;
    await this.#pull?.close(0);
    this.#curve?.close();
    return false;
  }

  #observe(address: string, receiver: Receiver) {
    const { observer } = this.#options;
    return {
      failed: (error: TransportError) => observer?.unreachable(error),
      recovered: () => observer?.reached(address),
      broken: (error: TransportError) => observer?.broken(error),
      refused: (error: ProtocolError) => receiver.protocolError(error),
    };
  }

  #receive(parts: readonly Buffer[], receiver: Receiver): void {
    if (this.#isClosed) return;
    const [message] = parts;
    if (message === undefined || parts.length > 1) {
      receiver.protocolError(new ProtocolError("invalid", SEVERAL_PARTS));
      return;
    }
    const isTooLarge = message.length > MAX_REQUEST_BYTES;
    if (isTooLarge) receiver.protocolError(new ProtocolError("too_large", TOO_LARGE));
    receiver.message(isTooLarge ? Buffer.from(message.subarray(0, TRUNCATED_REQUEST_BYTES)) : message);
    if (this.#mark !== undefined && message.includes(this.#mark.bytes)) this.#mark.found();
  }

  /** A connection counts from its subscription on: before that nothing reaches the peer. */
  #subscribe(isSubscribed: boolean): void {
    this.#subscriptions += isSubscribed ? 1 : -1;
    if (isSubscribed) this.#receiver?.connected("out");
    else this.#receiver?.disconnected("out");
  }

  /** The socket has been closed: it reports no ends of subscriptions. */
  #dropSubscriptions(): void {
    for (; this.#subscriptions > 0; this.#subscriptions--) this.#receiver?.disconnected("out");
  }
}
