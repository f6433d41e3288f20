/**
 * ZMTP 3.0, what ZeroMQ sockets speak over a byte stream (rfc.zeromq.org/spec/23), with the mechanism NULL: a greeting of 64 bytes
 * from each end, the command READY from each, then messages, each of one frame or more.
 *
 *   frame     flags  size  body           flags: 1 = the message goes on, 2 = size has eight bytes and not one, 4 = a command
 *   command   n name data                 n, name: one byte and as many; of READY the data are properties
 *   property  n name size value           size: four bytes
 *
 * We say that we speak 3.0 and not 3.1: then a SUB socket subscribes by messages, which all versions understand.
 */
import { ProtocolError } from "../errors.js";

export const GREETING_BYTES = 64;
const SIGNATURE = Buffer.from([0xff, 0, 0, 0, 0, 0, 0, 0, 1, 0x7f]);
const MECHANISM = Buffer.from("NULL".padEnd(20, "\0"));
/** Signature, version 3.0, mechanism, not a server, filler. */
export const GREETING: Buffer = Buffer.concat([SIGNATURE, Buffer.from([3, 0]), MECHANISM, Buffer.alloc(32)]);

export const FLAG_MORE = 1;
export const FLAG_LONG = 2;
export const FLAG_COMMAND = 4;
/** No command that a peer of ours has a use for is longer: READY with an identity of 255 bytes has 300. */
export const MAX_COMMAND_BYTES = 1024;
/** Of a PING, as ZMTP 3.1 has it. */
const MAX_PING_CONTEXT_BYTES = 16;
/** The longest body whose size takes one byte. */
const MAX_SHORT_BODY_BYTES = 255;

/** Where the mechanism ends: whoever has sent so much of a greeting has told version and mechanism. */
const MECHANISM_END_BYTES = 32;

/**
 * Why a greeting that begins so is none of ZMTP 3 with the mechanism NULL, and the fix; undefined: it can be one. Each fault is found
 * at a fixed number of bytes, so the answer does not depend on the pieces in which the greeting comes.
 */
export function greetingFault(bytes: Buffer): string | undefined {
  const [first = 0xff, second, ninth = 1, version = 3] = [bytes[0], bytes[1], bytes[9], bytes[10]];
  // ZMTP 1 begins with the frame of an identity: its size + 1, and no flags.
  if (first !== 0xff && second !== undefined) return second === 0 && first > 0 ? tooOldMessage(1) : NOT_ZMTP;
  if ((ninth & 1) === 0) return NOT_ZMTP;
  if (version < 3) return tooOldMessage(version === 0 ? 1 : 2);
  return bytes.length < MECHANISM_END_BYTES ? undefined : mechanismFault(bytes.subarray(12, MECHANISM_END_BYTES));
}

/** Whether a greeting that begins so has told everything that greetingFault() looks at. */
export const isMechanismKnown = (bytes: Buffer): boolean => bytes.length >= MECHANISM_END_BYTES;

const NOT_ZMTP = "the peer does not speak ZeroMQ; fix: connect only ZeroMQ sockets to this address";

function tooOldMessage(version: number): string {
  return `the peer speaks ZMTP ${version} (ZeroMQ ${version + 1}); fix: use ZeroMQ 4.0 or later (ZMTP 3) at the peer`;
}

function mechanismFault(mechanism: Buffer): string | undefined {
  if (mechanism.equals(MECHANISM)) return undefined;
  const name = printable(mechanism.subarray(0, mechanism.indexOf(0) >= 0 ? mechanism.indexOf(0) : undefined));
  const options = MECHANISM_FIXES[name] ?? "set the security mechanism NULL";
  return `the peer uses the security mechanism ${name}, m2push speaks NULL only (no encryption, no passwords); fix: ${options} at the peer`;
}

/** What switches a mechanism off. */
const MECHANISM_FIXES: Readonly<Record<string, string>> = {
  CURVE: "remove the CURVE keys (curve_serverkey, curve_publickey, curve_secretkey)",
  PLAIN: "remove the user name and the password (plain_username, plain_password)",
};

/** The frame READY of a socket of this type, such as "PULL"; `identity`: "" = none. */
export function readyFrame(type: string, identity = ""): Buffer {
  const properties = [property("Socket-Type", type)];
  if (identity) properties.push(property("Identity", identity));
  return commandFrame("READY", Buffer.concat(properties));
}

export interface Command {
  /** Fit to be printed. */
  readonly name: string;
  readonly data: Buffer;
}

/** Throws "invalid" when the frame does not hold a name. */
export function parseCommand(body: Buffer): Command {
  const end = 1 + (body[0] ?? 0);
  if (end === 1 || end > body.length) throw new ProtocolError("invalid", "the peer sent a command without a name");
  return { name: printable(body.subarray(1, end)), data: body.subarray(end) };
}

/** The answer to a PING with these data: two bytes of time and a context, which is said again. Throws "invalid". */
export function pongFrame(data: Buffer): Buffer {
  if (data.length < 2 || data.length > 2 + MAX_PING_CONTEXT_BYTES) {
    const what = `the peer sent a PING of ${data.length} bytes, 2 to ${2 + MAX_PING_CONTEXT_BYTES} are allowed`;
    throw new ProtocolError("invalid", what);
  }
  return commandFrame("PONG", data.subarray(2));
}

/** Why a peer refuses us, from the data of its ERROR; fit to be printed. */
export function errorReason(data: Buffer): string {
  return printable(data.subarray(1, 1 + (data[0] ?? 0))) || "no reason given";
}

/** What a peer sent, as text that no terminal takes for something else. */
function printable(bytes: Buffer): string {
  const escaped = (character: string) => `\\x${character.charCodeAt(0).toString(16).padStart(2, "0")}`;
  return bytes.toString("latin1").replace(/[^ -~]|\\/g, escaped);
}

/** Asks a peer for a PONG, which every libzmq since 4.2 sends; without a time to live and without a context. */
export const PING_FRAME: Buffer = commandFrame("PING", Buffer.alloc(2));

/** Whether a whole greeting is that of a peer that knows PING: ZMTP 3.1 or later. */
export function supportsPing(greeting: Buffer): boolean {
  const [major = 0, minor = 0] = greeting.subarray(10, 12);
  return major > 3 || (major === 3 && minor >= 1);
}

/** The type of socket that READY tells, fit to be printed; undefined when the command is none, or broken. */
export function socketTypeOf(command: Buffer): string | undefined {
  const data = command.toString("latin1", 0, 6) === "\x05READY" ? command.subarray(6) : undefined;
  for (let at = 0; data && at < data.length; ) {
    const nameEnd = at + 1 + data.readUInt8(at);
    if (nameEnd + 4 > data.length) return undefined;
    const end = nameEnd + 4 + data.readUInt32BE(nameEnd);
    if (end > data.length) return undefined;
    // Names are compared without regard to case.
    if (data.toString("latin1", at + 1, nameEnd).toLowerCase() === "socket-type") {
      return printable(data.subarray(nameEnd + 4, end));
    }
    at = end;
  }
  return undefined;
}

/** A message in several parts. */
export function partsFrame(parts: readonly Buffer[]): Buffer {
  const frame = Buffer.allocUnsafe(parts.reduce((sum, { length }) => sum + frameBytes(length), 0));
  let at = 0;
  parts.forEach((part, index) => {
    at = writeFrameHead(frame, at, part.length, index < parts.length - 1 ? FLAG_MORE : 0);
    at += part.copy(frame, at);
  });
  return frame;
}

/** Bytes of the frame of a message in one part of so many bytes. */
export function frameBytes(bytes: number): number {
  return frameHeadBytes(bytes) + bytes;
}

/** Writes what stands before a message in one part of so many bytes; returns where the message begins. */
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
