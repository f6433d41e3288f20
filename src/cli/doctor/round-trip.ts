/**
 * A fence round trip over real sockets: one answer proves that messages pass through this process's PUB socket, Mongrel2's SUB socket
 * and its recv_ident, Mongrel2's PUSH socket and this process's PULL socket. Meanwhile Mongrel2 treats this process as a handler.
 * Requests that arrive are cancelled, because no other process would answer them; their browsers reconnect.
 */
import type { ServerConfig } from "../../config/schema.js";
import { linkCurve, type ZmqImplementation } from "../../config/zmq-implementation.js";
import { ProtocolError } from "../../errors.js";
import { Fences, isFence } from "../../mongrel2/fences.js";
import { CANCEL, extendedHead, KEEP_ALIVE } from "../../protocol/reply.js";
import { parseRequest, RequestError } from "../../protocol/request.js";
import type { Clock } from "../../util/clock.js";
import { openTransport } from "../../zmq/open-transport.js";
import type { Receiver, Transport } from "../../zmq/transport.js";

export interface RoundTrip {
  readonly milliseconds: number;
  /** The send_ident in Mongrel2's answer. */
  readonly ident: string;
  /** Notices for fences of another process arrived. */
  readonly isShared: boolean;
}

const ANSWER_TIMEOUT_MS = 2000;
const FENCE_INTERVAL_MS = 25;
/** After the answer: time to read the requests that Mongrel2 has already sent. */
const DRAIN_MS = 20;

/** Resolves with undefined when no answer arrives. Rejects with "link_failed" when an address cannot be used. */
export async function roundTrip(
  server: ServerConfig,
  clock: Clock,
  implementation: ZmqImplementation = "native",
): Promise<RoundTrip | undefined> {
  const link = openTransport(implementation, {
    sendSpec: server.send_spec,
    recvSpec: server.recv_spec,
    identity: server.identity,
    bind: server.bind,
    curve: linkCurve(server),
    clock,
  });
  const send = (ids: readonly number[], body: Buffer) => link.send(extendedHead(server.send_ident, ids), body);
  try {
    return await ask(link, send, clock);
  } finally {
    await link.close();
  }
}

type Send = (ids: readonly number[], body: Buffer) => void;

function ask(link: Transport, send: Send, clock: Clock): Promise<RoundTrip | undefined> {
  // A daemon on the same link sees these as fences of another process, for too short a time to report it (mongrel2/second-daemon-detector.ts).
  const fences = new Fences(clock.now(), Math.random);
  let isShared = false;
  /** Requests to cancel once the link works; undefined afterwards. A message sent before Mongrel2 has subscribed is lost. */
  let pending: number[] | undefined = [];
  return new Promise((resolve, reject) => {
    const stopFences = clock.every(FENCE_INTERVAL_MS, () => send([fences.arm(clock.monotonic(), passed)], KEEP_ALIVE));
    const cancelTimeout = clock.after(ANSWER_TIMEOUT_MS, () => end(() => resolve(undefined)));
    const end = (finish: () => void) => {
      stopFences();
      cancelTimeout();
      finish();
    };
    /** Of the latest fence: an answer acknowledges all fences before it too. */
    let milliseconds = 0;
    const passed = (took: number) => {
      milliseconds = took;
    };
    const acknowledged = (id: number, ident: string) => {
      isShared ||= fences.isForeign(id);
      if (!fences.noticeReceived(id, clock.monotonic()) || !pending) return;
      for (const request of pending) send([request], CANCEL);
      pending = undefined;
      end(() => clock.after(DRAIN_MS, () => resolve({ milliseconds, ident, isShared })));
    };
    const cancel = (id: number) => (pending ? void pending.push(id) : send([id], CANCEL));
    link.start(receiverOf(acknowledged, cancel)).catch((error: unknown) => end(() => reject(error)));
  });
}

function receiverOf(acknowledged: (id: number, ident: string) => void, cancel: (id: number) => void): Receiver {
  const take = (bytes: Buffer) => {
    const message = parseRequest(bytes);
    if (message.kind === "http") cancel(message.id);
    else if (message.kind === "disconnect" && isFence(message.id)) acknowledged(message.id, message.sender);
  };
  return {
    message(bytes) {
      try {
        take(bytes);
      } catch (error) {
        if (!(error instanceof ProtocolError)) throw error;
        if (error instanceof RequestError && error.id !== undefined) cancel(error.id);
      }
    },
    connected() {},
    disconnected() {},
    protocolError() {},
  };
}
