/**
 * Who is at the other end of an address, asked with as little as can be: connect, and read what a ZeroMQ socket says of
 * itself before any message flows (ZMTP 3.0, rfc.zeromq.org/spec/23). It says its type, which tells swapped specs; and a
 * SUB socket says what it subscribes to, which is Mongrel2's recv_ident. A library would only say "no answer" to all of it.
 */
import { connect, type Socket } from "node:net";
import type { Clock } from "../../util/clock.js";
import { pathOf, tcpOf } from "./spec.js";

export type Probe =
  /** Nothing listens. */
  | { readonly kind: "absent"; readonly code: string }
  /** A socket file that this user may not connect to. */
  | { readonly kind: "denied" }
  /** It takes connections and says nothing. */
  | { readonly kind: "mute" }
  /** It says something else than ZMTP. */
  | { readonly kind: "foreign" }
  /** A ZeroMQ socket of this type ("PUSH"), and for a SUB socket the first prefix that it subscribes to. */
  | { readonly kind: "socket"; readonly type: string; readonly subscription: string | undefined };

/** How long the other end may take for everything, milliseconds. */
const PATIENCE = 1000;
const SIGNATURE = Buffer.from([0xff, 0, 0, 0, 0, 0, 0, 0, 1, 0x7f]);
const GREETING_BYTES = 64;
/** Signature, version 3.0, mechanism NULL, not a server, filler. */
const GREETING = Buffer.concat([SIGNATURE, Buffer.from([3, 0]), Buffer.from("NULL".padEnd(GREETING_BYTES - 12, "\0"))]);
/** The command READY of a PUB socket. */
const READY_AS_PUB = Buffer.from("\x04\x19\x05READY\x0bSocket-Type\0\0\0\x03PUB", "latin1");
/** No greeting, READY or subscription of Mongrel2 comes near this many bytes. */
const MOST_BYTES = 4096;

/**
 * Looks at an address. With `listen` it goes on as a PUB socket until it hears a subscription, which costs the other end
 * nothing. Without, it stops before the connection is of use to anybody. Never rejects.
 */
export function probe(spec: string, { clock, listen }: { clock: Clock; listen: boolean }): Promise<Probe> {
  return new Promise((resolve) => {
    const socket = open(spec);
    let heard: Buffer = Buffer.alloc(0);
    let answered = false;
    const end = (result: Probe) => {
      late();
      socket.destroy();
      resolve(result);
    };
    const late = clock.after(PATIENCE, () =>
      end(understood(heard, true) ?? { kind: heard.length > 0 ? "foreign" : "mute" }),
    );
    socket.on("connect", () => socket.write(GREETING));
    socket.on("error", (error: NodeJS.ErrnoException) => end(refusal(error.code ?? "")));
    socket.on("close", () => end(understood(heard, true) ?? { kind: heard.length > 0 ? "foreign" : "mute" }));
    socket.on("data", (bytes: Buffer) => {
      heard = Buffer.concat([heard, bytes]);
      const known = understood(heard, !listen);
      if (known || heard.length > MOST_BYTES) return end(known ?? { kind: "foreign" });
      if (listen && !answered && heard.length >= GREETING_BYTES) {
        answered = true;
        socket.write(READY_AS_PUB);
      }
    });
  });
}

function open(spec: string): Socket {
  const path = pathOf(spec);
  if (path !== undefined) return connect({ path: path.startsWith("@") ? `\0${path.slice(1)}` : path });
  const { host = "", port = 0 } = tcpOf(spec) ?? {};
  return connect({ host: host.replace(/^\[(.*)\]$/, "$1"), port });
}

const refusal = (code: string): Probe =>
  code === "EACCES" || code === "EPERM" ? { kind: "denied" } : { kind: "absent", code };

/** What was heard, as soon as it says enough; `enough`: the type alone is. */
function understood(heard: Buffer, enough: boolean): Probe | undefined {
  const start = heard.subarray(0, 10);
  // The eight bytes between are padding.
  if (start[0] !== undefined && start[0] !== 0xff) return { kind: "foreign" };
  if (start[9] !== undefined && (start[9] & 1) === 0) return { kind: "foreign" };
  let type: string | undefined;
  for (const { command, body } of framesOf(heard.subarray(GREETING_BYTES))) {
    if (command) type ??= typeIn(body);
    else if (body[0] === 1 && type) return { kind: "socket", type, subscription: body.subarray(1).toString("latin1") };
    if (type && (enough || !/^X?SUB$/.test(type))) return { kind: "socket", type, subscription: undefined };
  }
  return undefined;
}

/** Complete frames: flags (2 = long size, 4 = command), size, body. */
function framesOf(bytes: Buffer): { command: boolean; body: Buffer }[] {
  const frames: { command: boolean; body: Buffer }[] = [];
  for (let at = 0; at + 2 <= bytes.length; ) {
    const flags = bytes.readUInt8(at);
    const long = (flags & 2) !== 0;
    if (long && at + 9 > bytes.length) break;
    const size = long ? Number(bytes.readBigUInt64BE(at + 1)) : bytes.readUInt8(at + 1);
    const from = at + (long ? 9 : 2);
    if (from + size > bytes.length) break;
    frames.push({ command: (flags & 4) !== 0, body: bytes.subarray(from, from + size) });
    at = from + size;
  }
  return frames;
}

/** The property Socket-Type of READY: name with a byte for its length, value with four. */
function typeIn(command: Buffer): string | undefined {
  const text = command.toString("latin1");
  const at = text.indexOf("\x0bSocket-Type");
  if (!text.startsWith("\x05READY") || at < 0) return undefined;
  const size = at + 12;
  return command.length < size + 4 ? undefined : text.slice(size + 4, size + 4 + command.readUInt32BE(size));
}
