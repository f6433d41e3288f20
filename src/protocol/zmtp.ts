/**
 * Codec of ZMTP 3.0 (rfc.zeromq.org/spec/23), the protocol of ZeroMQ sockets, with the mechanism NULL: a greeting of 64 bytes
 * from each end, the command READY from each, then messages, each of one frame or more.
 *
 *   frame     flags  size  body           flags: 1 = another frame of the message follows, 2 = size has eight bytes, not one, 4 = a command
 *   command   n name data                 n: one byte, the length of the name; the data of READY are properties
 *   property  n name size value           n: one byte; size: four bytes
 *
 * The greeting announces 3.0 and not 3.1: then a SUB socket subscribes by messages, which all versions understand.
 */
import { ProtocolError } from "../errors.js";

export const GREETING_BYTES = 64;
const SIGNATURE = Buffer.from([0xff, 0, 0, 0, 0, 0, 0, 0, 1, 0x7f]);
const MECHANISM = Buffer.from("NULL".padEnd(20, "\0"));
/** Signature, version 3.0, mechanism, not a server, filler. */
export const GREETING: Buffer = Buffer.concat([SIGNATURE, Buffer.from([3, 0]), MECHANISM, Buffer.alloc(32)]);

/** Bits of the flags of a frame. */
export const FLAG_MORE = 1;
export const FLAG_LONG = 2;
export const FLAG_COMMAND = 4;
/** Limit for commands: READY with an identity of 255 bytes has 300. */
export const MAX_COMMAND_BYTES = 1024;
/** The longest context of a PING (ZMTP 3.1, rfc.zeromq.org/spec/37). */
const MAX_PING_CONTEXT_BYTES = 16;
/** The longest body whose size has one byte. */
const MAX_SHORT_BODY_BYTES = 255;

/** Position of the end of the mechanism in a greeting; version and mechanism are before it. */
const MECHANISM_END_BYTES = 32;

/**
 * Why a beginning of a greeting is not that of ZMTP 3 with the mechanism NULL, and the fix; undefined = it may be valid. Each fault is
 * detected at a fixed number of bytes, so the result does not depend on the chunks.
 */
export function greetingFault(bytes: Buffer): string | undefined {
  const [first = 0xff, second, ninth = 1, version = 3] = [bytes[0], bytes[1], bytes[9], bytes[10]];
  // ZMTP 1 begins with the frame of an identity: its size + 1, and no flags.
  if (first !== 0xff && second !== undefined) return second === 0 && first > 0 ? tooOldMessage(1) : NOT_ZMTP;
  if ((ninth & 1) === 0) return NOT_ZMTP;
  if (version < 3) return tooOldMessage(version === 0 ? 1 : 2);
  return bytes.length < MECHANISM_END_BYTES ? undefined : mechanismFault(bytes.subarray(12, MECHANISM_END_BYTES));
}

/** Whether the beginning of a greeting contains everything that greetingFault() checks. */
export const isMechanismKnown = (bytes: Buffer): boolean => bytes.length >= MECHANISM_END_BYTES;

const NOT_ZMTP = "the peer does not speak ZeroMQ; fix: connect only ZeroMQ sockets to this address";

function tooOldMessage(version: number): string {
  return `the peer speaks ZMTP ${version} (ZeroMQ ${version + 1}); fix: use ZeroMQ 4.0 or later (ZMTP 3) at the peer, or set [zmq] implementation = "libzmq"`;
}

function mechanismFault(mechanism: Buffer): string | undefined {
  if (mechanism.equals(MECHANISM)) return undefined;
  const name = printable(mechanism.subarray(0, mechanism.indexOf(0) >= 0 ? mechanism.indexOf(0) : undefined));
  const options = MECHANISM_FIXES[name] ?? "set the security mechanism NULL";
  return `the peer uses the security mechanism ${name}, m2push supports NULL only (no encryption, no passwords); fix: ${options} at the peer`;
}

/** How to disable a mechanism. */
const MECHANISM_FIXES: Readonly<Record<string, string>> = {
  CURVE: "remove the CURVE keys (curve_serverkey, curve_publickey, curve_secretkey)",
  PLAIN: "remove the user name and the password (plain_username, plain_password)",
};

/** Encodes the command READY of a socket of this type, such as "PULL"; `identity`: "" = none. */
export function readyFrame(type: string, identity = ""): Buffer {
  const properties = [property("Socket-Type", type)];
  if (identity) properties.push(property("Identity", identity));
  return commandFrame("READY", Buffer.concat(properties));
}

export interface Command {
  /** Printable ASCII. */
  readonly name: string;
  readonly data: Buffer;
}

/** Throws "invalid" if the frame has no name. */
export function parseCommand(body: Buffer): Command {
  const end = 1 + (body[0] ?? 0);
  if (end === 1 || end > body.length) throw new ProtocolError("invalid", "the peer sent a command without a name");
  return { name: printable(body.subarray(1, end)), data: body.subarray(end) };
}

/** Encodes the PONG for the data of a PING: two bytes of time and a context, which is returned. Throws "invalid". */
export function pongFrame(data: Buffer): Buffer {
  if (data.length < 2 || data.length > 2 + MAX_PING_CONTEXT_BYTES) {
    const what = `the peer sent a PING of ${data.length} bytes, 2 to ${2 + MAX_PING_CONTEXT_BYTES} are allowed`;
    throw new ProtocolError("invalid", what);
  }
  return commandFrame("PONG", data.subarray(2));
}

/** The reason in the data of an ERROR command, as printable ASCII. */
export function errorReason(data: Buffer): string {
  return printable(data.subarray(1, 1 + (data[0] ?? 0))) || "no reason given";
}

/** Bytes of a peer as printable ASCII, so that they cannot control a terminal. */
function printable(bytes: Buffer): string {
  const escaped = (character: string) => `\\x${character.charCodeAt(0).toString(16).padStart(2, "0")}`;
  return bytes.toString("latin1").replace(/[^ -~]|\\/g, escaped);
}

/** A PING without a time to live and without a context; every libzmq since 4.2 answers with a PONG. */
export const PING_FRAME: Buffer = commandFrame("PING", Buffer.alloc(2));

/** Whether a complete greeting is that of ZMTP 3.1 or later, which has PING. */
export function supportsPing(greeting: Buffer): boolean {
  const [major = 0, minor = 0] = greeting.subarray(10, 12);
  return major > 3 || (major === 3 && minor >= 1);
}

/**
 * The Socket-Type in the command READY, as printable ASCII; undefined if the command is another one, or malformed: a property that is not
 * complete, or two types.
 */
export function socketTypeOf(command: Buffer): string | undefined {
  if (command.toString("latin1", 0, 6) !== "\x05READY") return undefined;
  let type: string | undefined;
  for (let at = 6; at < command.length; ) {
    const nameEnd = at + 1 + command.readUInt8(at);
    if (nameEnd + 4 > command.length) return undefined;
    const end = nameEnd + 4 + command.readUInt32BE(nameEnd);
    if (end > command.length) return undefined;
    // Property names are case-insensitive.
    if (command.toString("latin1", at + 1, nameEnd).toLowerCase() === "socket-type") {
      const value = printable(command.subarray(nameEnd + 4, end));
      if (type !== undefined && type !== value) return undefined;
      type = value;
    }
    at = end;
  }
  return type;
}

/** Encodes a message of several parts. */
export function partsFrame(parts: readonly Buffer[]): Buffer {
  const frame = Buffer.allocUnsafe(parts.reduce((sum, { length }) => sum + frameBytes(length), 0));
  let at = 0;
  parts.forEach((part, index) => {
    at = writeFrameHead(frame, at, part.length, index < parts.length - 1 ? FLAG_MORE : 0);
    at += part.copy(frame, at);
  });
  return frame;
}

/** Returns the size of a frame whose body has this number of bytes. */
export function frameBytes(bytes: number): number {
  return frameHeadBytes(bytes) + bytes;
}

/** Writes the head of a frame whose body has this number of bytes; returns the position of the body. */
export function writeFrameHead(into: Buffer, at: number, bytes: number, flags = 0): number {
  into[at] = bytes > MAX_SHORT_BODY_BYTES ? flags | FLAG_LONG : flags;
  if (bytes > MAX_SHORT_BODY_BYTES) writeSize(into, at + 1, bytes);
  else into[at + 1] = bytes;
  return at + frameHeadBytes(bytes);
}

function frameHeadBytes(bytes: number): number {
  return bytes > MAX_SHORT_BODY_BYTES ? 9 : 2;
}

function writeSize(into: Buffer, at: number, size: number): void {
  into.writeUInt32BE(Math.floor(size / 2 ** 32), at);
  into.writeUInt32BE(size % 2 ** 32, at + 4);
}

function commandFrame(name: string, data: Buffer): Buffer {
  const body = Buffer.concat([Buffer.from([name.length]), Buffer.from(name), data]);
  const frame = Buffer.allocUnsafe(frameBytes(body.length));
  body.copy(frame, writeFrameHead(frame, 0, body.length, FLAG_COMMAND));
  return frame;
}

function property(name: string, value: string): Buffer {
  const size = Buffer.alloc(4);
  size.writeUInt32BE(Buffer.byteLength(value));
  return Buffer.concat([Buffer.from([name.length]), Buffer.from(name), size, Buffer.from(value)]);
}
