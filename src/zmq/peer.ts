/**
 * One connection to a ZeroMQ socket: greeting, handshake, then messages (protocol/zmtp.ts). A peer that does not speak ZMTP 3 as a socket
 * of the expected type, begins too large a frame, or sends only useless frames is disconnected. Long because it is one
 * connection from its first byte to its last.
 *
 * It replaces libzmq because of the cost of a message: the zeromq binding needs a call, a promise and a wake of its thread for
 * each one. Here all messages of a read, and all messages sent in one tick, take one system call each.
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
import type { Cancel, Clock } from "../util/clock.js";
import { Handshake } from "./handshake.js";
import { MarkScanner } from "./mark-scanner.js";
import { MessageAssembly } from "./message-assembly.js";
import { ReadQueue } from "./read-queue.js";
import { announcementFor, defaultAnnouncement, dependsOnPeer, type SocketType } from "./socket-types.js";
import type { TickBudget, TickQueue, TickWorker } from "./tick-queue.js";
import { UselessFrameLimiter } from "./useless-frame-limiter.js";
import { WriteQueue } from "./write-queue.js";

/** Idle time before TCP keep-alive probes a connection. */
const TCP_KEEPALIVE_MS = 60_000;
/** The largest read; and the largest one that is served before those of peers that send much. */
const READ_BYTES = 65_536;
const SMALL_READ_BYTES = 4096;

export interface SocketRole {
  readonly type: SocketType;
  /** "" = none. */
  readonly identity: string;
  /** The largest message, all parts together. */
  readonly maxMessageBytes: number;
  /** A larger message in one part is truncated to this size, bytes; absent = its peer is disconnected. */
  readonly truncateToBytes?: number;
  readonly clock: Clock;
}

export interface PeerEvents {
  /** The handshake is complete: messages can be received and sent. */
  ready(peer: Peer): void;
  /** The parts share the memory of the read that brought them, at most 64 kB. Returns whether the message was useful. */
  message(peer: Peer, parts: Buffer[], isTruncated: boolean): boolean;
  /** The peer has answered ping(). */
  pong(peer: Peer): void;
  /** The peer was disconnected for this reason; closed() follows. */
  protocolError(error: ProtocolError, peer: Peer): void;
  /** The operating system ended the connection, or could not establish it; closed() follows. */
  failed(error: NodeJS.ErrnoException, peer: Peer): void;
  /** Called once, after the last message; also for a peer that never was ready. */
  closed(peer: Peer): void;
}

/** Limits that the peers of one socket share. */
export interface SharedLimits {
  readonly tickQueue: TickQueue;
  /** Bytes that one peer may have read and not handled. */
  readonly maxQueuedBytes: number;
  /** The unfinished message of a peer takes this number of bytes more than before; negative = less. */
  unfinishedBytesChanged(bytes: number): void;
}

let connectionCount = 0;

export class Peer implements TickWorker {
  /** Unique among the connections of the process. */
  readonly name = `${++connectionCount}`;
  /** Address and port of the peer; "" = none, as on an IPC connection. */
  readonly remote: string;
  readonly #socket: Socket;
  readonly #role: SocketRole;
  readonly #shared: SharedLimits;
  readonly #events: PeerEvents;
  readonly #reader: FrameReader;
  readonly #assembly: MessageAssembly;
  /** Undefined once READY has arrived. */
  #handshake: Handshake | undefined;
  #supportsPing = false;
  /** Our READY is sent. */
  #isAnnounced = false;
  /** The type in the peer's READY; "" before. */
  #type = "";
  /** No message is handled until release(). */
  #isHeld = false;
  /** The timer of holdFor(). */
  #releaseTimer: Cancel | undefined;
  /** Messages of a REQ or DEALER peer that were handed over and are not answered. */
  #owedReplyCount = 0;
  /** halfClose() was called: a PUSH peer is read to its end, whatever its rate is. */
  #isClosing = false;
  /** The connection is to be half-closed. */
  #isEnding = false;
  #isAborted = false;
  #hasHalfClosed = false;
  /** The connection is closed; what was read before is still handled. */
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
    this.#handshake = new Handshake(socket, role.clock, (error) => this.abort(error), role.type !== "DEALER");
    socket.setNoDelay(true).setKeepAlive(true, TCP_KEEPALIVE_MS);
    socket.on("error", (error) => events.failed(error, this));
    socket.on("data", (bytes: Buffer) => this.#read(bytes));
    socket.on("end", () => {
      this.#hasHalfClosed = true;
    });
    socket.on("close", () => this.#socketClosed());
  }

  /** The peer has closed its side: the connection was not merely cut. */
  get hasHalfClosed(): boolean {
    return this.#hasHalfClosed;
  }

  get isReady(): boolean {
    return !this.#handshake;
  }

  /** "PUSH", "REQ" and so on; "" before the handshake is complete. */
  get type(): string {
    return this.#type;
  }

  /** Whether each message of the peer gets a reply. */
  get isAnswered(): boolean {
    return this.#type === "REQ" || this.#type === "DEALER";
  }

  /** Bytes of memory of the unfinished message. */
  get heldBytes(): number {
    return this.#heldBytes;
  }

  /** Queues a message of one part, head and body; all messages queued in one tick leave in one write. */
  send(head: Buffer, body: Buffer): void {
    this.#writes.push(head, body);
  }

  /** Sends a message of several parts, behind the queued ones. For rare messages. */
  sendParts(parts: readonly Buffer[]): void {
    this.#writes.flush();
    if (this.#socket.writable) this.#socket.write(partsFrame(parts));
  }

  /** Sends frames that are encoded already, at once. */
  sendFrames(frames: Buffer): void {
    if (this.#socket.writable) this.#socket.write(frames);
  }

  /** Bytes that were sent and that the operating system has not taken yet. */
  get unsentBytes(): number {
    return this.#socket.writableLength;
  }

  /** The next message of the peer gets a reply: the connection is not half-closed before it is sent. */
  oweReply(): void {
    this.#owedReplyCount++;
  }

  /** Sends replies, each with its envelope, in one write. */
  sendReplies(replies: readonly (readonly Buffer[])[]): void {
    this.#owedReplyCount -= replies.length;
    if (this.#socket.writable) this.#socket.write(Buffer.concat(replies.map(partsFrame)));
    this.#endOnceAnswered();
  }

  /** Whether the peer reads what is sent to it. */
  get isWritable(): boolean {
    return !this.#socket.writableNeedDrain;
  }

  /** Calls `run` whenever the peer reads again. */
  onWritable(run: () => void): void {
    this.#socket.on("drain", run);
  }

  /** Handles no further message, and reads little, until release(). Not after the connection is closed: what was read is handled. */
  hold(): void {
    this.#isHeld = !this.#isSocketClosed;
    this.#adjustReading();
  }

  release(): void {
    this.#releaseTimer?.();
    this.#releaseTimer = undefined;
    this.#isHeld = false;
    this.#shared.tickQueue.addToNextTick(this);
    this.#adjustReading();
  }

  /** As hold(), for this time. A PUSH peer is not held while the connection is closing: what it has written would be lost. */
  holdFor(milliseconds: number): void {
    if (this.#isClosing || this.#isSocketClosed) return;
    this.hold();
    this.#releaseTimer?.();
    this.#releaseTimer = this.#role.clock.after(milliseconds, () => this.release());
  }

  /** Sends a PING. Returns false if the peer does not understand it, or does not read. */
  ping(): boolean {
    const { writable, writableNeedDrain } = this.#socket;
    const canSend = this.isReady && this.#supportsPing && writable && !writableNeedDrain;
    if (canSend) this.#socket.write(PING_FRAME);
    return canSend;
  }

  /** Calls `found` in each read callback that brings `mark`, before any message of that read is emitted. */
  onMark(mark: Buffer, found: () => void): void {
    const scanner = new MarkScanner(mark);
    this.#scan = (bytes) => {
      if (scanner.isIn(bytes)) found();
    };
    this.#adjustReading();
  }

  /**
   * Sends the queued messages and half-closes the connection; the peer's messages are still received until it closes its side.
   * `quietMs`: half-closes once nothing has arrived for so long; 0 = at once. A peer with owed replies gets them before; what it sends
   * afterwards is dropped: it has no reply, and its publisher repeats it.
   */
  halfClose(quietMs = 0): void {
    this.#writes.flush();
    this.#isClosing = true;
    if (this.#releaseTimer) this.release();
    this.#adjustReading();
    const end = () => {
      this.#isEnding = true;
      this.#endOnceAnswered();
    };
    if (quietMs > 0) this.#socket.setTimeout(quietMs, end);
    else end();
  }

  #endOnceAnswered(): void {
    if (this.#isEnding && this.#owedReplyCount === 0 && !(this.isAnswered && this.hasMore)) this.#socket.end();
  }

  /** Closes the connection at once. Messages that were read are still emitted. */
  destroy(): void {
    this.#socket.destroy();
  }

  /** Closes the connection at once and drops what was read from it. */
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

  /** Whether bytes were read that are not handled yet. */
  get hasMore(): boolean {
    return !this.#reader.isAtEnd || !this.#queue.isEmpty;
  }

  /** Handles the bytes that were read, within the budget. */
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
    if (this.#isAborted || (this.#isEnding && this.isAnswered)) return;
    this.#scan?.(bytes);
    this.#queue.push(bytes);
    const { tickQueue } = this.#shared;
    if (bytes.length <= SMALL_READ_BYTES) tickQueue.add(this);
    else tickQueue.addToBacklog(this);
    this.#adjustReading();
  }

  /**
   * A peer whose last frame was useless, or that has sent none, is read only as fast as it is handled; so is every peer while more peers
   * have work than a tick serves. While the tick queue is paused everything is read: halfCloseAtMark() waits for a mark in it.
   */
  #adjustReading(): void {
    const { maxQueuedBytes: queueBytes, tickQueue: turns } = this.#shared;
    if (turns.isPaused) this.#queue.resume();
    else if (turns.isCrowded && !this.#isClosing) this.#queue.adjust(0);
    else {
      const isTrusted = this.#uselessFrames.wasLastUseful && !this.#isHeld;
      this.#queue.adjust(isTrusted ? queueBytes : Math.min(queueBytes, READ_BYTES));
    }
  }

  #socketClosed(): void {
    this.#handshake?.stop();
    this.#isSocketClosed = true;
    this.#releaseTimer?.();
    this.#isHeld = false;
    this.#shared.tickQueue.add(this);
  }

  #work(budget: TickBudget): boolean {
    while (budget.messages > 0 && budget.bytes > 0) {
      if (this.#isHeld) return false;
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
    }
    return true;
  }

  #feedNextPiece(budget: TickBudget): boolean {
    this.#assembly.copyParts();
    const bytes = this.#queue.shift();
    this.#adjustReading();
    if (!bytes) {
      if (this.#isSocketClosed) this.#close();
      else if (this.#isEnding) this.#endOnceAnswered();
      return false;
    }
    budget.messages--;
    // Copying a part of a large message costs a sixteenth of handling it.
    budget.bytes -= bytes.length >> 4;
    this.#reader.feed(
      this.#handshake && !this.#handshake.hasGreeting ? this.#readGreeting(this.#handshake, bytes) : bytes,
    );
    return true;
  }

  /** Returns the bytes behind the greeting. */
  #readGreeting(handshake: Handshake, bytes: Buffer): Buffer {
    const remainder = handshake.readGreeting(bytes);
    this.#supportsPing = handshake.supportsPing;
    const { type } = this.#role;
    if (!handshake.hasGreeting) return remainder;
    // libzmq sends its READY without waiting for ours (null_mechanism.cpp).
    if (dependsOnPeer(type)) handshake.waitForReady(() => this.#announce(defaultAnnouncement(type)));
    else this.#announce(defaultAnnouncement(type));
    return remainder;
  }

  #announce(type: string): void {
    if (!this.#isAnnounced) this.#socket.write(readyFrame(type, this.#role.identity));
    this.#isAnnounced = true;
  }

  #close(): void {
    this.#isSocketClosed = false;
    this.#reader.clear();
    this.#assembly.take();
    this.#events.closed(this);
  }

  /** Reports the memory of the unfinished message when it has changed. */
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
      throw zmtpError(`the peer rejected the connection with ERROR "${errorReason(data)}"; ${REJECTED_FIX}`);
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
    this.#announce(announcementFor(this.#role.type, type));
    this.#type = type;
    this.#handshake?.stop();
    this.#handshake = undefined;
    this.#reader.maxBodyBytes = this.#role.maxMessageBytes;
    this.#events.ready(this);
  }

  /** Drops the reply if the peer does not read. */
  #reply(bytes: Buffer): void {
    if (this.#socket.writable && !this.#socket.writableNeedDrain) this.#socket.write(bytes);
  }

  #addPart(body: Buffer, more: boolean): void {
    this.#assembly.add(body);
    if (!more) this.#uselessFrames.count(this.#events.message(this, this.#assembly.take(), false));
  }
}

const REJECTED_FIX = "fix: check the log of the peer (ZAP, security settings)";
const zmtpError = (what: string): ProtocolError => new ProtocolError("invalid", what);
