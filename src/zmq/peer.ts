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
import { PING, parseCommand, partsFrame, pong, ready, reasonIn, typeIn } from "../protocol/zmtp.js";
import type { Clock } from "../util/clock.js";
import { Assembly } from "./assembly.js";
import { Handshake } from "./handshake.js";
import { MarkScanner } from "./mark-scanner.js";
import { Rating } from "./rating.js";
import { ReadQueue } from "./read-queue.js";
import type { TickBudget, TickQueue, TickWorker } from "./tick-queue.js";
import { WriteQueue } from "./write-queue.js";

/** Before a connection on which nothing comes is looked after (TCP keep-alive), milliseconds. */
const KEEP_ALIVE = 60_000;
/** The largest read. */
const READ_BYTES = 65_536;
/** libzmq's sockets that belong to ours. */
const COUNTERPARTS = { PULL: /^PUSH$/, PUB: /^X?SUB$/, DEALER: /^(?:REP|ROUTER)$/ };
const WANTED = { PULL: "PUSH", PUB: "SUB", DEALER: "REP" };

export interface SocketRole {
  readonly type: keyof typeof COUNTERPARTS;
  /** "" = none. */
  readonly identity: string;
  /** The largest message that is taken, all parts together; bytes. */
  readonly limit: number;
  /** Of a larger message in one part so many bytes are handed on; absent: its peer is cut off. */
  readonly truncateTo?: number;
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
  cut(error: ProtocolError, peer: Peer): void;
  /** The operating system ended the connection, or could not make it; closed() follows. */
  failed(error: NodeJS.ErrnoException, peer: Peer): void;
  /** Once, after its last message; also where it never was ready. */
  closed(peer: Peer): void;
}

/** What the peers of one socket share. */
export interface SharedLimits {
  readonly turns: TickQueue;
  /** What one peer may have read and not handled, bytes. */
  readonly queueBytes: number;
  /** A peer holds so many bytes of unfinished messages more than before. */
  held(bytes: number): void;
}

export class Peer implements TickWorker {
  /** Address and port of who connected to us; "" = none. */
  readonly remote: string;
  readonly #socket: Socket;
  readonly #role: SocketRole;
  readonly #shares: SharedLimits;
  readonly #events: PeerEvents;
  readonly #reader: FrameReader;
  readonly #assembly: Assembly;
  /** Until READY. */
  #handshake: Handshake | undefined;
  #knowsPing = false;
  #isCut = false;
  #hasEnded = false;
  /** The connection is closed; what was read before is handled first. */
  #isOver = false;
  readonly #rating: Rating;
  readonly #queue: ReadQueue;
  #heldBytes = 0;
  readonly #writes: WriteQueue;
  #watch: ((bytes: Buffer) => void) | undefined;

  constructor(socket: Socket, role: SocketRole, shares: SharedLimits, events: PeerEvents) {
    this.#socket = socket;
    this.#role = role;
    this.#shares = shares;
    this.#events = events;
    this.#reader = new FrameReader(-1, role.truncateTo);
    this.remote = socket.remoteAddress === undefined ? "" : `${socket.remoteAddress}:${socket.remotePort}`;
    this.#assembly = new Assembly(role.limit);
    this.#rating = new Rating(role.clock);
    this.#queue = new ReadQueue(socket);
    this.#writes = new WriteQueue(socket);
    this.#handshake = new Handshake(socket, role.clock, (error) => this.cut(error));
    socket.setNoDelay(true).setKeepAlive(true, KEEP_ALIVE);
    socket.on("error", (error) => events.failed(error, this));
    socket.on("data", (bytes: Buffer) => this.#read(bytes));
    socket.on("end", () => {
      this.#hasEnded = true;
    });
    socket.on("close", () => this.#over());
  }

  /** It has said that it closes: it was not merely cut. */
  get hasEnded(): boolean {
    return this.#hasEnded;
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
    const canAsk = this.isReady && this.#knowsPing && writable && !writableNeedDrain;
    if (canAsk) this.#socket.write(PING);
    return canAsk;
  }

  /** Calls `seen` in each read callback in which `mark` comes in, before any message of that read is handed on. */
  watchFor(mark: Buffer, seen: () => void): void {
    const scanner = new MarkScanner(mark);
    this.#watch = (bytes) => {
      if (scanner.isIn(bytes)) seen();
    };
    this.#regulate();
  }

  /**
   * Sends what is queued and takes what the other end has written until then; it closes when it hears that we do. `silence`: not
   * before so many milliseconds in which nothing came.
   */
  end(silence = 0): void {
    this.#writes.flush();
    this.#regulate();
    if (silence > 0) this.#socket.setTimeout(silence, () => this.#socket.end());
    else this.#socket.end();
  }

  /** At once. */
  destroy(): void {
    this.#socket.destroy();
  }

  /** At once, and without what was read from it. */
  cut(error: ProtocolError): void {
    if (this.#isCut) return;
    this.#isCut = true;
    this.#queue.clear();
    this.#reader.drop();
    this.#assembly.take();
    this.#count();
    this.#socket.destroy();
    this.#events.cut(error, this);
  }

  /** Handles what was read. */
  work(budget: TickBudget): boolean {
    try {
      return this.#work(budget);
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      this.cut(error);
      return false;
    } finally {
      this.#count();
    }
  }

  #read(bytes: Buffer): void {
    if (this.#isCut) return;
    this.#watch?.(bytes);
    this.#queue.push(bytes);
    this.#shares.turns.add(this);
    this.#regulate();
  }

  /**
   * A peer that has not sent anything of use yet, or just now has not, is read only as fast as it is handled. While nothing is handled
   * everything is read: somebody waits for what it contains.
   */
  #regulate(): void {
    const { queueBytes, turns } = this.#shares;
    if (turns.isPaused) this.#queue.resume();
    else this.#queue.regulate(this.#rating.isUseful ? queueBytes : Math.min(queueBytes, READ_BYTES));
  }

  #over(): void {
    this.#handshake?.end();
    this.#isOver = true;
    this.#shares.turns.add(this);
  }

  #work(budget: TickBudget): boolean {
    do {
      const frame = this.#reader.next();
      if (!frame) {
        if (!this.#feed(budget)) return false;
        continue;
      }
      const { isCommand, more, body, isTruncated } = frame;
      if (!more) budget.messages--;
      budget.bytes -= body.length;
      if (isCommand) this.#command(body);
      else if (more || !this.#assembly.isEmpty) this.#part(body, more);
      else this.#rating.count(this.#events.message(this, [body], isTruncated));
    } while (budget.messages > 0 && budget.bytes > 0);
    return true;
  }

  #feed(budget: TickBudget): boolean {
    this.#assembly.own();
    const piece = this.#queue.shift();
    this.#regulate();
    if (!piece) {
      if (this.#isOver) this.#close();
      return false;
    }
    budget.messages--;
    // What it costs to look at bytes, or to copy them, of what it costs to handle them.
    budget.bytes -= piece.length >> 2;
    this.#reader.feed(this.#handshake && !this.#handshake.isGreeted ? this.#greet(this.#handshake, piece) : piece);
    return true;
  }

  /** What follows the greeting. */
  #greet(handshake: Handshake, piece: Buffer): Buffer {
    const rest = handshake.greet(piece);
    this.#knowsPing = handshake.knowsPing;
    if (handshake.isGreeted) this.#socket.write(ready(this.#role.type, this.#role.identity));
    return rest;
  }

  #close(): void {
    this.#isOver = false;
    this.#reader.drop();
    this.#assembly.take();
    this.#events.closed(this);
  }

  /** Tells how much memory its unfinished message takes, where that has changed. */
  #count(): void {
    const held = this.#reader.heldBytes + this.#assembly.heldBytes;
    const change = held - this.#heldBytes;
    if (change === 0) return;
    this.#heldBytes = held;
    this.#shares.held(change);
  }

  #command(body: Buffer): void {
    const { name, data } = parseCommand(body);
    if (name === "ERROR") throw wrong(`the peer refuses the connection with ERROR "${reasonIn(data)}"; ${REFUSED}`);
    if (!this.isReady) this.#greetedBy(name, body);
    else this.#traffic(name, data);
  }

  #traffic(command: string, data: Buffer): void {
    if (command === "READY") throw wrong("the peer sent a second READY");
    if (command === "PING") this.#answer(pong(data));
    else if (command === "PONG") this.#events.pong(this);
    this.#rating.count(false);
  }

  #greetedBy(command: string, body: Buffer): void {
    if (command !== "READY") throw wrong(`the peer sent the command ${command} before READY`);
    const type = typeIn(body) ?? "";
    if (!COUNTERPARTS[this.#role.type].test(type)) {
      const what = `a ${type || "nameless"} socket is at the other end of our ${this.#role.type} socket`;
      throw wrong(`${what}; fix: connect a ${WANTED[this.#role.type]} socket (are two addresses swapped?)`);
    }
    this.#handshake?.end();
    this.#handshake = undefined;
    this.#reader.limit = this.#role.limit;
    this.#events.ready(this);
  }

  /** A peer that does not read has no use for answers. */
  #answer(bytes: Buffer): void {
    if (this.#socket.writable && !this.#socket.writableNeedDrain) this.#socket.write(bytes);
  }

  #part(body: Buffer, more: boolean): void {
    this.#assembly.add(body);
    if (!more) this.#rating.count(this.#events.message(this, this.#assembly.take(), false));
  }
}

const REFUSED = "fix: look at the peer's own log (ZAP, security settings)";
const wrong = (what: string): ProtocolError => new ProtocolError("invalid", what);
