/**
 * Identifies the socket at an address without sending a message: connects, and reads the ZMTP handshake (protocol/zmtp.ts). The
 * handshake contains the type of the socket, which reveals swapped specs; a SUB socket also sends its subscription, which is
 * Mongrel2's recv_ident. A ZeroMQ library would report a timeout in all of these cases.
 */
import { connect } from "node:net";
import { ProtocolError } from "../../errors.js";
import { type Frame, FrameReader } from "../../protocol/frame-reader.js";
import { GREETING, GREETING_BYTES, greetingFault, readyFrame, socketTypeOf } from "../../protocol/zmtp.js";
import type { Clock } from "../../util/clock.js";
import { parseEndpoint } from "../../zmq/endpoint.js";

export type Probe =
  /** The connection failed: nothing listens. */
  | { readonly kind: "absent"; readonly code: string }
  /** This user has no permission to connect to the socket file. */
  | { readonly kind: "denied" }
  /** It accepts the connection and sends nothing. */
  | { readonly kind: "mute" }
  /** It sends something other than ZMTP. */
  | { readonly kind: "foreign" }
  /** A ZeroMQ socket of this type ("PUSH"); for a SUB socket also its first subscription. */
  | { readonly kind: "socket"; readonly type: string; readonly subscription: string | undefined };

/** For the whole probe. */
const PROBE_TIMEOUT_MS = 1000;
/** Mongrel2's greeting, READY command and subscription together are far smaller. */
const MAX_PROBE_BYTES = 4096;

/**
 * Probes an address. With `listen` it continues as a PUB socket until it receives a subscription, which costs the peer nothing;
 * without, it disconnects before the handshake is complete. Never rejects.
 */
export function probe(spec: string, { clock, listen }: { clock: Clock; listen: boolean }): Promise<Probe> {
  const endpoint = parseEndpoint(spec);
  if (!endpoint) return Promise.resolve({ kind: "absent", code: "EINVAL" });
  return new Promise((resolve) => {
    const socket = connect(endpoint);
    let received: Buffer = Buffer.alloc(0);
    let readySent = false;
    const end = (result: Probe) => {
      cancelTimeout();
      socket.destroy();
      resolve(result);
    };
    const cancelTimeout = clock.after(PROBE_TIMEOUT_MS, () =>
      end(identify(received, true) ?? { kind: received.length > 0 ? "foreign" : "mute" }),
    );
    socket.on("connect", () => socket.write(GREETING));
    socket.on("error", (error: NodeJS.ErrnoException) => end(refusal(error.code ?? "")));
    socket.on("close", () => end(identify(received, true) ?? { kind: received.length > 0 ? "foreign" : "mute" }));
    socket.on("data", (bytes: Buffer) => {
      received = Buffer.concat([received, bytes]);
      const found = identify(received, !listen);
      if (found || received.length > MAX_PROBE_BYTES) return end(found ?? { kind: "foreign" });
      if (listen && !readySent && received.length >= GREETING_BYTES) {
        readySent = true;
        socket.write(readyFrame("PUB"));
      }
    });
  });
}

const refusal = (code: string): Probe =>
  code === "EACCES" || code === "EPERM" ? { kind: "denied" } : { kind: "absent", code };

/** The socket, once the received bytes identify it. With `typeOnly` its type is enough. */
function identify(received: Buffer, typeOnly: boolean): Probe | undefined {
  if (greetingFault(received) !== undefined) return { kind: "foreign" };
  let type: string | undefined;
  for (const { isCommand, body } of framesOf(received.subarray(GREETING_BYTES))) {
    if (isCommand) type ??= socketTypeOf(body);
    else if (body[0] === 1 && type) return { kind: "socket", type, subscription: body.subarray(1).toString("latin1") };
    if (type && (typeOnly || !/^X?SUB$/.test(type))) return { kind: "socket", type, subscription: undefined };
  }
  return undefined;
}

/** The complete frames; malformed bytes end the list. */
function framesOf(bytes: Buffer): Frame[] {
  const frames: Frame[] = [];
  try {
    const reader = new FrameReader(MAX_PROBE_BYTES);
    reader.feed(bytes);
    for (let frame = reader.next(); frame; frame = reader.next()) frames.push(frame);
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error;
  }
  return frames;
}
