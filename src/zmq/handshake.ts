/**
 * Handshake of a connection: connect, exchange greetings, READY. Each has a deadline that traffic does not extend.
 *
 * The greeting is sent in two steps. libzmq closes the connection as soon as it receives another security mechanism than its own, before
 * it has sent its own. So the first 12 bytes are sent at once, which make libzmq send its whole greeting, and the remainder once its
 * mechanism is known. An error can then name a CURVE peer (libzmq 4.3.4; after 64 bytes at once it sends 10 and closes). Two such ends would
 * wait for each other, so a client of m2push itself sends the greeting at once.
 */
import type { Socket } from "node:net";
import { ProtocolError } from "../errors.js";
import { GREETING, GREETING_BYTES, greetingFault, isMechanismKnown, supportsPing } from "../protocol/zmtp.js";
import type { Cancel, Clock } from "../util/clock.js";

/** For connecting, name resolution included. */
const CONNECT_TIMEOUT_MS = 5000;
/** From the connection to READY: the default of libzmq. */
const HANDSHAKE_TIMEOUT_MS = 30_000;
/**
 * How long the peer may take to send its mechanism, and then its READY, before we send the remainder of the greeting, and our READY,
 * without knowing them: the peer may wait for ours.
 */
const MECHANISM_TIMEOUT_MS = 1000;
const READY_TIMEOUT_MS = 1000;
/** The first step: signature and version. */
const VERSION_END_BYTES = 12;

export class Handshake {
  readonly #socket: Socket;
  readonly #clock: Clock;
  readonly #timedOut: (error: ProtocolError) => void;
  readonly #isGreetingSplit: boolean;
  readonly #greeting = Buffer.alloc(GREETING_BYTES);
  #greetingBytes = 0;
  #hasSentRemainder = false;
  /** For connecting, then for the handshake. */
  #deadline: Cancel = () => {};
  /** For the next step of the peer. */
  #step: Cancel = () => {};

  /** `isGreetingSplit`: see above. Calls `timedOut` if READY does not arrive in time. A connect timeout ends the connection with the error ETIMEDOUT. */
  constructor(socket: Socket, clock: Clock, timedOut: (error: ProtocolError) => void, isGreetingSplit = true) {
    this.#socket = socket;
    this.#clock = clock;
    this.#timedOut = timedOut;
    this.#isGreetingSplit = isGreetingSplit;
    if (socket.connecting) this.#connect();
    else this.#sendGreeting();
  }

  get hasGreeting(): boolean {
    return this.#greetingBytes === GREETING_BYTES;
  }

  /** Whether the peer understands PING; valid once hasGreeting. */
  get supportsPing(): boolean {
    return supportsPing(this.#greeting);
  }

  /** Reads bytes of the peer's greeting; returns the bytes behind it. Throws "invalid" if it is not ZMTP 3 with NULL. */
  readGreeting(bytes: Buffer): Buffer {
    const copied = bytes.copy(this.#greeting, this.#greetingBytes);
    this.#greetingBytes += copied;
    const greeting = this.#greeting.subarray(0, this.#greetingBytes);
    const fault = greetingFault(greeting);
    if (fault !== undefined) throw new ProtocolError("invalid", fault);
    if (isMechanismKnown(greeting)) this.#sendRemainder();
    return bytes.subarray(copied);
  }

  /** Calls `announce` if READY does not arrive in time. The greeting must be complete. */
  waitForReady(announce: () => void): void {
    this.#step();
    this.#step = this.#clock.after(READY_TIMEOUT_MS, announce);
  }

  /** Stops the timers: READY has arrived, or the connection is closed. */
  stop(): void {
    this.#deadline();
    this.#step();
  }

  #connect(): void {
    const timedOut = () => this.#socket.destroy(Object.assign(new Error("timed out"), { code: "ETIMEDOUT" }));
    this.#deadline = this.#clock.after(CONNECT_TIMEOUT_MS, timedOut);
    this.#socket.on("connect", () => this.#sendGreeting());
  }

  #sendGreeting(): void {
    this.#deadline();
    this.#socket.write(GREETING.subarray(0, VERSION_END_BYTES));
    this.#deadline = this.#clock.after(HANDSHAKE_TIMEOUT_MS, () => this.#timedOut(handshakeTimeout()));
    if (this.#isGreetingSplit) this.#step = this.#clock.after(MECHANISM_TIMEOUT_MS, () => this.#sendRemainder());
    else this.#sendRemainder();
  }

  #sendRemainder(): void {
    if (this.#hasSentRemainder) return;
    this.#hasSentRemainder = true;
    this.#socket.write(GREETING.subarray(VERSION_END_BYTES));
  }
}

function handshakeTimeout(): ProtocolError {
  const seconds = HANDSHAKE_TIMEOUT_MS / 1000;
  const what = `the peer did not finish the ZeroMQ handshake within ${seconds} s; fix: connect only ZeroMQ sockets, and check whether the peer hangs`;
  return new ProtocolError("invalid", what);
}
