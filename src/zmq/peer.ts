/**
 * One connection to a ZeroMQ socket, from its first byte on: greeting, handshake, then messages (protocol/zmtp.ts). Whoever does
 * not speak ZMTP 3 as a socket of the right type, or begins too large a frame, is cut off.
 *
 * Ours and not libzmq's, for what an event costs: its binding takes a call, a promise and a wake of its thread for each message,
 * here what comes in one read and what leaves in one turn of the event loop are one system call each.
 */
import type { Socket } from "node:net";
import { ProtocolError } from "../errors.js";
import {
  type Frame,
  FrameReader,
  frameBytes,
  GREETING,
  GREETING_BYTES,
  isGreeting,
  isPong,
  knowsPing,
  PING,
  partsFrame,
  pong,
  ready,
  typeIn,
  writeHead,
} from "../protocol/zmtp.js";
import type { Turns } from "./turns.js";

/** For greeting and handshake, milliseconds: as libzmq has it. */
const HANDSHAKE_PATIENCE = 30_000;
/** Before a connection on which nothing comes is looked after (TCP keep-alive), milliseconds. */
const KEEP_ALIVE = 60_000;
/** What a part of a message counts for beside its bytes: as much as it takes in memory. */
const PART_BYTES = 100;
/** So many bytes leave before the rest is there: the first of 500,000 clients need not wait for the last one's frame. */
const MOST_LEAVING = 128_000;
/** libzmq's sockets that belong to ours. */
const COUNTERPARTS = { PULL: /^PUSH$/, PUB: /^X?SUB$/, DEALER: /^(?:REP|ROUTER)$/ };

export interface Role {
  readonly type: keyof typeof COUNTERPARTS;
  /** "" = none. */
  readonly identity: string;
  /** The largest message that is taken, all parts together; bytes (a part counts for 100 more). */
  readonly limit: number;
}

export interface PeerEvents {
  /** The handshake is over: messages can come, and go. */
  ready(peer: Peer): void;
  /** The parts share the memory of all that was read together with them: at most 64 kB. */
  message(peer: Peer, parts: Buffer[]): void;
  /** It has answered ping(). */
  pong(peer: Peer): void;
  /** It is cut off, for this reason. */
  cut(error: ProtocolError): void;
  /** Once, after its last message; also where it never was ready. */
  closed(peer: Peer): void;
}

export class Peer {
  readonly #socket: Socket;
  readonly #role: Role;
  readonly #events: PeerEvents;
  readonly #reader: FrameReader;
  #greeting: Buffer | undefined = Buffer.alloc(0);
  #isReady = false;
  #knowsPing = false;
  #isCut = false;
  #hasEnded = false;
  #parts: Buffer[] = [];
  /** Of the parts: see PART_BYTES. */
  #size = 0;
  /** Messages, each a head and a body. */
  #leaving: Buffer[] = [];
  #leavingBytes = 0;

  constructor(socket: Socket, role: Role, turns: Turns, events: PeerEvents) {
    this.#socket = socket;
    this.#role = role;
    this.#events = events;
    this.#reader = new FrameReader(role.limit);
    socket.setNoDelay(true).setKeepAlive(true, KEEP_ALIVE);
    socket.setTimeout(HANDSHAKE_PATIENCE, () => this.#isReady || socket.destroy());
    socket.on("error", () => {}); // it closes
    socket.on("data", (bytes: Buffer) => turns.add(bytes.length, () => this.#take(bytes)));
    socket.on("end", () => {
      this.#hasEnded = true;
    });
    socket.on("close", () => turns.add(0, () => events.closed(this)));
    socket.write(GREETING);
  }

  /** It has said that it closes: it was not merely cut. */
  get hasEnded(): boolean {
    return this.#hasEnded;
  }

  get isReady(): boolean {
    return this.#isReady;
  }

  /** Queues a message, head and body as one part; all that is queued in one go of the program leaves in one write. */
  send(head: Buffer, body: Buffer): void {
    if (this.#leaving.push(head, body) === 2) process.nextTick(this.#write);
    this.#leavingBytes += frameBytes(head.length + body.length);
    if (this.#leavingBytes >= MOST_LEAVING) this.#write();
  }

  /** Sends a message in several parts, after what is queued: for messages that are few. */
  sendParts(parts: readonly Buffer[]): void {
    this.#write();
    if (this.#socket.writable) this.#socket.write(partsFrame(parts));
  }

  /** Asks for a sign of life; false where the peer would not understand it, or does not read. */
  ping(): boolean {
    const { writable, writableNeedDrain } = this.#socket;
    const canAsk = this.#isReady && this.#knowsPing && writable && !writableNeedDrain;
    if (canAsk) this.#socket.write(PING);
    return canAsk;
  }

  /** Whether reading is held up: the other end is then held up, too, in the end. */
  set held(isHeld: boolean) {
    if (isHeld) this.#socket.pause();
    else this.#socket.resume();
  }

  /**
   * Sends what is queued and takes what the other end has written until then; it closes when it hears that we do. `silence`: not
   * before so many milliseconds in which nothing came.
   */
  end(silence = 0): void {
    this.#write();
    if (silence > 0) this.#socket.setTimeout(silence, () => this.#socket.end());
    else this.#socket.end();
  }

  /** At once. */
  destroy(): void {
    this.#socket.destroy();
  }

  readonly #write = (): void => {
    if (this.#leaving.length === 0) return;
    const bytes = Buffer.allocUnsafe(this.#leavingBytes);
    const pieces = this.#leaving;
    for (let piece = 0, at = 0; piece < pieces.length; piece += 2) {
      const [head, body] = [pieces[piece] as Buffer, pieces[piece + 1] as Buffer];
      at = writeHead(bytes, at, head.length + body.length);
      bytes.set(head, at);
      bytes.set(body, at + head.length);
      at += head.length + body.length;
    }
    this.#leaving = [];
    this.#leavingBytes = 0;
    if (this.#socket.writable) this.#socket.write(bytes);
  };

  #take(bytes: Buffer): void {
    if (this.#isCut) return;
    try {
      this.#reader.push(this.#greeting ? this.#greet(this.#greeting, bytes) : bytes, (frame) => this.#frame(frame));
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      this.#isCut = true;
      this.#socket.destroy();
      this.#events.cut(error);
    }
  }

  /** What follows the greeting. */
  #greet(before: Buffer, bytes: Buffer): Buffer {
    const heard = Buffer.concat([before, bytes]);
    if (!isGreeting(heard)) throw wrong("who connected does not speak ZMTP 3 (ZeroMQ 4.0 or later) without encryption");
    this.#greeting = heard.length < GREETING_BYTES ? heard : undefined;
    this.#knowsPing = knowsPing(heard);
    if (!this.#greeting) this.#socket.write(ready(this.#role.type, this.#role.identity));
    return heard.subarray(GREETING_BYTES);
  }

  #frame({ isCommand, more, body }: Frame): void {
    if (isCommand) this.#command(body);
    else if (this.#isReady) this.#part(body, more);
    else throw wrong("who connected sends messages before it has said what it is");
  }

  #command(body: Buffer): void {
    const answer = pong(body);
    // A peer that does not read has no use for answers.
    if (answer && this.#socket.writable && !this.#socket.writableNeedDrain) this.#socket.write(answer);
    if (isPong(body) && this.#isReady) this.#events.pong(this);
    if (this.#isReady) return;
    const type = typeIn(body) ?? "";
    if (!COUNTERPARTS[this.#role.type].test(type)) {
      throw wrong(`a ${type || "nameless"} socket is at the other end of our ${this.#role.type} socket`);
    }
    this.#isReady = true;
    this.#socket.setTimeout(0);
    this.#events.ready(this);
  }

  #part(body: Buffer, more: boolean): void {
    this.#size += body.length + PART_BYTES;
    this.#parts.push(body);
    const { limit } = this.#role;
    if (this.#size > limit)
      throw new ProtocolError("limit.exceeded", `a message of more than the ${limit} bytes that are taken`);
    if (!more) this.#hand();
  }

  #hand(): void {
    const parts = this.#parts;
    this.#parts = [];
    this.#size = 0;
    this.#events.message(this, parts);
  }
}

const wrong = (what: string): ProtocolError => new ProtocolError("protocol.zmtp", what);
