/**
 * Who is at the other end of an address, asked with as little as can be: connect, and read what a ZeroMQ socket says of
 * itself before any message flows (protocol/zmtp.ts). It says its type, which tells swapped specs; and a SUB socket says what it
 * subscribes to, which is Mongrel2's recv_ident. A library would only say "no answer" to all of it.
 */
import { connect } from "node:net";
import { ProtocolError } from "../../errors.js";
import { type Frame, FrameReader } from "../../protocol/frame-reader.js";
import { GREETING, GREETING_BYTES, greetingFault, readyFrame, socketTypeOf } from "../../protocol/zmtp.js";
import type { Clock } from "../../util/clock.js";
import { parseEndpoint } from "../../zmq/endpoint.js";

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
/** No greeting, READY or subscription of Mongrel2 comes near this many bytes. */
const MOST_BYTES = 4096;

/**
 * Looks at an address. With `listen` it goes on as a PUB socket until it hears a subscription, which costs the other end
 * nothing. Without, it stops before the connection is of use to anybody. Never rejects.
 */
export function probe(spec: string, { clock, listen }: { clock: Clock; listen: boolean }): Promise<Probe> {
  const place = parseEndpoint(spec);
  if (!place) return Promise.resolve({ kind: "absent", code: "EINVAL" });
  return new Promise((resolve) => {
    const socket = connect(place);
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
        socket.write(readyFrame("PUB"));
      }
    });
  });
}

const refusal = (code: string): Probe =>
  code === "EACCES" || code === "EPERM" ? { kind: "denied" } : { kind: "absent", code };

/** What was heard, as soon as it says enough; `enough`: the type alone is. */
function understood(heard: Buffer, enough: boolean): Probe | undefined {
  if (greetingFault(heard) !== undefined) return { kind: "foreign" };
  let type: string | undefined;
  for (const { isCommand, body } of framesOf(heard.subarray(GREETING_BYTES))) {
    if (isCommand) type ??= socketTypeOf(body);
    else if (body[0] === 1 && type) return { kind: "socket", type, subscription: body.subarray(1).toString("latin1") };
    if (type && (enough || !/^X?SUB$/.test(type))) return { kind: "socket", type, subscription: undefined };
  }
  return undefined;
}

/** Complete frames. */
function framesOf(bytes: Buffer): Frame[] {
  const frames: Frame[] = [];
  try {
    const reader = new FrameReader(MOST_BYTES);
    reader.feed(bytes);
    for (let frame = reader.next(); frame; frame = reader.next()) frames.push(frame);
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error;
  }
  return frames;
}
