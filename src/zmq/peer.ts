/**
 * One connection to a ZeroMQ socket, from its first byte on: greeting, handshake, then messages (protocol/zmtp.ts). Whoever does
 * not speak ZMTP 3 as a socket of the right type, begins too large a frame, or sends nothing of use, is cut off.
 * Long because it is one connection from its first byte to its last.
 *
 * Ours and not libzmq's, for what an event costs: its binding takes a call, a promise and a wake of its thread for each message,
 * here what comes in one read and what leaves in one turn of the event loop are one system call each.
 */
import type { Socket } from "node:net";
import { ProtocolError } from "../errors.js";
import { FrameReader } from "../protocol/frame-reader.js";
import {
  errorReason,
  PING_FRAME,
  parseCommand,
  partsFrame,
  pongFrame,
  readyFrame,
  socketTypeOf,
} from "../protocol/zmtp.js";
import type { Clock } from "../util/clock.js";
import { Handshake } from "./handshake.js";
import { MarkScanner } from "./mark-scanner.js";
import { MessageAssembly } from "./message-assembly.js";
import { ReadQueue } from "./read-queue.js";
import type { TickBudget, TickQueue, TickWorker } from "./tick-queue.js";
import { UselessFrameLimiter } from "./useless-frame-limiter.js";
import { WriteQueue } from "./write-queue.js";

/** Before a connection on which nothing comes is looked after (TCP keep-alive), milliseconds. */
const TCP_KEEPALIVE_MS = 60_000;
/** The largest read. */
const READ_BYTES = 65_536;
/** libzmq's sockets that belong to ours. */
const PEER_TYPES = { PULL: /^PUSH$/, PUB: /^X?SUB$/, DEALER: /^(?:REP|ROUTER)$/ };
const EXPECTED_TYPE = { PULL: "PUSH", PUB: "SUB", DEALER: "REP" };

export interface SocketRole {
  readonly type: keyof typeof PEER_TYPES;
  /** "" = none. */
  readonly identity: string;
  /** The largest message that is taken, all parts together; bytes. */
  readonly maxMessageBytes: number;
  /** Of a larger message in one part so many bytes are handed on; absent: its peer is cut off. */
  readonly truncateToBytes?: number;
  readonly clock: Clock;
}

export interface PeerEvents {
  /** The handshake is over: messages can come, and go. */
  ready(peer: Peer): void;
  /** The parts share the memory of all that was read together with them: at most 64 kB. Returns whether it was of use. */
  message(peer: Peer, parts: Buffer[], isTruncated: boolean): boolean;
  /** It has answered ping(). */
  pong(peer: Peer): void;
  /** It is cut off, for this reason. */
  protocolError(error: ProtocolError, peer: Peer): void;
  /** The operating system ended the connection, or could not make it; closed() follows. */
  failed(error: NodeJS.ErrnoException, peer: Peer): void;
  /** Once, after its last message; also where it never was ready. */
  closed(peer: Peer): void;
}

/** What the peers of one socket share. */
export interface SharedLimits {
  readonly tickQueue: TickQueue;
  /** What one peer may have read and not handled, bytes. */
  readonly maxQueuedBytes: number;
  /** A peer holds so many bytes of unfinished messages more than before. */
  unfinishedBytesChanged(bytes: number): void;
}

export class Peer implements TickWorker {
  /** Address and port of who connected to us; "" = none. */
  readonly remote: string;
  readonly #socket: Socket;
  readonly #role: SocketRole;
  readonly #shared: SharedLimits;
  readonly #events: PeerEvents;
  readonly #reader: FrameReader;
  readonly #assembly: MessageAssembly;
  /** Until READY. */
  #handshake: Handshake | undefined;
  #supportsPing = false;
  #isAborted = false;
  #hasHalfClosed = false;
  /** The connection is closed; what was read before is handled first. */
  #isSocketClosed = false;
  readonly #uselessFrames: UselessFrameLimiter;
  readonly #queue: ReadQueue;
  #heldBytes = 0;
  readonly #writes: WriteQueue;
  #scan: ((bytes: Buffer) => void) | undefined;

  constructor(socket: Socket, role: SocketRole, shares: SharedLimits, events: PeerEvents) {
    this.#socket = socket;
    this.#role = role;
    this.#shared = shares;
    this.#events = events;
    this.#reader = new FrameReader(-1, role.truncateToBytes);
    this.remote = socket.remoteAddress === undefined ? "" : `${socket.remoteAddress}:${socket.remotePort}`;
    this.#assembly = new MessageAssembly(role.maxMessageBytes);
    this.#uselessFrames = new UselessFrameLimiter(role.clock);
    this.#queue = new ReadQueue(socket);
    this.#writes = new WriteQueue(socket);
    this.#handshake = new Handshake(socket, role.clock, (error) => this.abort(error));
    socket.setNoDelay(true).setKeepAlive(true, TCP_KEEPALIVE_MS);
    socket.on("error", (error) => events.failed(error, this));
    socket.on("data", (bytes: Buffer) => this.#read(bytes));
    socket.on("end", () => {
      this.#hasHalfClosed = true;
    });
    socket.on("close", () => this.#socketClosed());
  }

  /** It has said that it closes: it was not merely cut. */
  get hasHalfClosed(): boolean {
    return this.#hasHalfClosed;
  }

  get isReady(): boolean {
    return !this.#handshake;
  }

  /** Bytes of memory that its unfinished message takes. */
  get heldBytes(): number {
    return this.#heldBytes;
  }

  /** Queues a message, head and body as one part; all that is queued in one go of the program leaves in one write. */
  send(head: Buffer, body: Buffer): void {
    this.#writes.push(head, body);
  }

  /** Sends a message in several parts, after what is queued: for messages that are few. */
  sendParts(parts: readonly Buffer[]): void {
    this.#writes.flush();
    if (this.#socket.writable) this.#socket.write(partsFrame(parts));
  }

  /** Asks for a sign of life; false where the peer would not understand it, or does not read. */
  ping(): boolean {
    const { writable, writableNeedDrain } = this.#socket;
    const canAsk = this.isReady && this.#supportsPing && writable && !writableNeedDrain;
    if (canAsk) this.#socket.write(PING_FRAME);
    return canAsk;
  }

  /** Calls `seen` in each read callback in which `mark` comes in, before any message of that read is handed on. */
  onMark(mark: Buffer, found: () => void): void {
    const scanner = new MarkScanner(mark);
    this.#scan = (bytes) => {
      if (scanner.isIn(bytes)) found();
    };
    this.#adjustReading();
  }

  /**
   * Sends what is queued and takes what the other end has written until then; it closes when it hears that we do. `silence`: not
   * before so many milliseconds in which nothing came.
   */
  halfClose(quietMs = 0): void {
    this.#writes.flush();
    this.#adjustReading();
    if (quietMs > 0) this.#socket.setTimeout(quietMs, () => this.#socket.end());
    else this.#socket.end();
  }

  /** At once. */
  destroy(): void {
    this.#socket.destroy();
  }

  /** At once, and without what was read from it. */
  abort(error: ProtocolError): void {
    if (this.#isAborted) return;
    this.#isAborted = true;
    this.#queue.clear();
    this.#reader.clear();
    this.#assembly.take();
    this.#updateHeldBytes();
    this.#socket.destroy();
    this.#events.protocolError(error, this);
  }

  /** Handles what was read. */
  work(budget: TickBudget): boolean {
    try {
      return this.#work(budget);
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      this.abort(error);
      return false;
    } finally {
      this.#updateHeldBytes();
    }
  }

  #read(bytes: Buffer): void {
    if (this.#isAborted) return;
    this.#scan?.(bytes);
    this.#queue.push(bytes);
    this.#shared.tickQueue.add(this);
    this.#adjustReading();
  }

  /**
   * A peer that has not sent anything of use yet, or just now has not, is read only as fast as it is handled. While nothing is handled
   * everything is read: somebody waits for what it contains.
   */
  #adjustReading(): void {
    const { maxQueuedBytes: queueBytes, tickQueue: turns } = this.#shared;
    if (turns.isPaused) this.#queue.resume();
    else this.#queue.adjust(this.#uselessFrames.wasLastUseful ? queueBytes : Math.min(queueBytes, READ_BYTES));
  }

  #socketClosed(): void {
    this.#handshake?.stop();
    this.#isSocketClosed = true;
    this.#shared.tickQueue.add(this);
  }

  #work(budget: TickBudget): boolean {
    do {
      const frame = this.#reader.next();
      if (!frame) {
        if (!this.#feedNextPiece(budget)) return false;
        continue;
      }
      const { isCommand, more, body, isTruncated } = frame;
      if (!more) budget.messages--;
      budget.bytes -= body.length;
      if (isCommand) this.#readCommand(body);
      else if (more || !this.#assembly.isEmpty) this.#addPart(body, more);
      else this.#uselessFrames.count(this.#events.message(this, [body], isTruncated));
    } while (budget.messages > 0 && budget.bytes > 0);
    return true;
  }

  #feedNextPiece(budget: TickBudget): boolean {
    this.#assembly.copyParts();
    const bytes = this.#queue.shift();
    this.#adjustReading();
    if (!bytes) {
      if (this.#isSocketClosed) this.#close();
      return false;
    }
    budget.messages--;
    // What it costs to look at bytes, or to copy them, of what it costs to handle them.
    budget.bytes -= bytes.length >> 2;
    this.#reader.feed(
      this.#handshake && !this.#handshake.hasGreeting ? this.#readGreeting(this.#handshake, bytes) : bytes,
    );
    return true;
  }

  /** What follows the greeting. */
  #readGreeting(handshake: Handshake, bytes: Buffer): Buffer {
    const remainder = handshake.readGreeting(bytes);
    this.#supportsPing = handshake.supportsPing;
    if (handshake.hasGreeting) this.#socket.write(readyFrame(this.#role.type, this.#role.identity));
    return remainder;
  }

  #close(): void {
    this.#isSocketClosed = false;
    this.#reader.clear();
    this.#assembly.take();
    this.#events.closed(this);
  }

  /** Tells how much memory its unfinished message takes, where that has changed. */
  #updateHeldBytes(): void {
    const heldBytes = this.#reader.heldBytes + this.#assembly.heldBytes;
    const change = heldBytes - this.#heldBytes;
    if (change === 0) return;
    this.#heldBytes = heldBytes;
    this.#shared.unfinishedBytesChanged(change);
  }

  #readCommand(body: Buffer): void {
    const { name, data } = parseCommand(body);
    if (name === "ERROR")
      throw zmtpError(`the peer refuses the connection with ERROR "${errorReason(data)}"; ${REFUSED}`);
    if (!this.isReady) this.#readReady(name, body);
    else this.#readPingOrPong(name, data);
  }

  #readPingOrPong(command: string, data: Buffer): void {
    if (command === "READY") throw zmtpError("the peer sent a second READY");
    if (command === "PING") this.#reply(pongFrame(data));
    else if (command === "PONG") this.#events.pong(this);
    this.#uselessFrames.count(false);
  }

  #readReady(command: string, body: Buffer): void {
    if (command !== "READY") throw zmtpError(`the peer sent the command ${command} before READY`);
    const type = socketTypeOf(body) ?? "";
    if (!PEER_TYPES[this.#role.type].test(type)) {
      const what = `a ${type || "nameless"} socket is at the other end of our ${this.#role.type} socket`;
      throw zmtpError(`${what}; fix: connect a ${EXPECTED_TYPE[this.#role.type]} socket (are two addresses swapped?)`);
    }
    this.#handshake?.stop();
    this.#handshake = undefined;
    this.#reader.maxBodyBytes = this.#role.maxMessageBytes;
    this.#events.ready(this);
  }

  /** A peer that does not read has no use for answers. */
  #reply(bytes: Buffer): void {
    if (this.#socket.writable && !this.#socket.writableNeedDrain) this.#socket.write(bytes);
  }

  #addPart(body: Buffer, more: boolean): void {
    this.#assembly.add(body);
    if (!more) this.#uselessFrames.count(this.#events.message(this, this.#assembly.take(), false));
  }
}

const REFUSED = "fix: look at the peer's own log (ZAP, security settings)";
const zmtpError = (what: string): ProtocolError => new ProtocolError("invalid", what);
