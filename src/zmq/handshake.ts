/**
 * How a connection begins: connect, exchange greetings, READY; each with a deadline that traffic does not extend.
 *
 * Our greeting leaves in two steps. libzmq closes the connection as soon as it sees another security mechanism than its own, before
 * it has told which; so the first 12 bytes leave at once, which make it send all of its greeting, and the rest when its mechanism is
 * known. A CURVE peer can be named then (libzmq 4.3.4; with 64 bytes at once it sends 10 and leaves).
 */
import type { Socket } from "node:net";
import { ProtocolError } from "../errors.js";
import { GREETING, GREETING_BYTES, greetingFault, isMechanismKnown, supportsPing } from "../protocol/zmtp.js";
import type { Cancel, Clock } from "../util/clock.js";

/** For the connection, the resolution of the name included. */
const CONNECT_TIMEOUT_MS = 5000;
/** From the connection to READY: as libzmq has it. */
const HANDSHAKE_TIMEOUT_MS = 30_000;
/** After this a peer gets the rest of our greeting without having told its mechanism: it may be waiting for it. */
const MECHANISM_TIMEOUT_MS = 1000;
/** Signature and version. */
const VERSION_END_BYTES = 12;

export class Handshake {
  readonly #socket: Socket;
  readonly #clock: Clock;
  readonly #timedOut: (error: ProtocolError) => void;
  readonly #greeting = Buffer.alloc(GREETING_BYTES);
  #greetingBytes = 0;
  #hasSentRemainder = false;
  #timer: Cancel = () => {};

  /** `late`: READY did not come in time. A connection that cannot be made in time ends with the error ETIMEDOUT. */
  constructor(socket: Socket, clock: Clock, late: (error: ProtocolError) => void) {
    this.#socket = socket;
    this.#clock = clock;
    this.#timedOut = late;
    if (socket.connecting) this.#connect();
    else this.#sendGreeting();
  }

  get hasGreeting(): boolean {
    return this.#greetingBytes === GREETING_BYTES;
  }

  /** Once greeted: whether the peer understands PING. */
  get supportsPing(): boolean {
    return supportsPing(this.#greeting);
  }

  /** Takes the peer's greeting; returns what follows it. Throws "invalid" where it is none that we understand. */
  readGreeting(bytes: Buffer): Buffer {
    const taken = bytes.copy(this.#greeting, this.#greetingBytes);
    this.#greetingBytes += taken;
    const heard = this.#greeting.subarray(0, this.#greetingBytes);
    const fault = greetingFault(heard);
    if (fault !== undefined) throw new ProtocolError("invalid", fault);
    if (isMechanismKnown(heard)) this.#sendRemainder();
    return bytes.subarray(taken);
  }

  /** It is over, one way or the other. */
  stop(): void {
    this.#timer();
  }

  #connect(): void {
    const late = () => this.#socket.destroy(Object.assign(new Error("timed out"), { code: "ETIMEDOUT" }));
    this.#timer = this.#clock.after(CONNECT_TIMEOUT_MS, late);
    this.#socket.on("connect", () => this.#sendGreeting());
  }

  #sendGreeting(): void {
    this.#timer();
    this.#socket.write(GREETING.subarray(0, VERSION_END_BYTES));
    this.#timer = this.#clock.after(MECHANISM_TIMEOUT_MS, () => {
      this.#sendRemainder();
      this.#timer = this.#clock.after(HANDSHAKE_TIMEOUT_MS - MECHANISM_TIMEOUT_MS, () =>
        this.#timedOut(handshakeTimeout()),
      );
    });
  }

  #sendRemainder(): void {
    if (this.#hasSentRemainder) return;
    this.#hasSentRemainder = true;
    this.#socket.write(GREETING.subarray(VERSION_END_BYTES));
  }
}

function handshakeTimeout(): ProtocolError {
  const seconds = HANDSHAKE_TIMEOUT_MS / 1000;
  const what = `the peer did not finish the ZeroMQ handshake within ${seconds} s; fix: connect only ZeroMQ sockets, and look whether the peer hangs`;
  return new ProtocolError("invalid", what);
}
