/**
 * A fence round trip over real sockets: one answer proves our PUB, Mongrel2's SUB and its recv_ident, its PUSH and our PULL.
 * As long as it takes we are a handler like any other: requests that come in meanwhile would wait for their answer for ever,
 * so they are cancelled, and the browsers come back by themselves.
 */
import type { ServerConfig } from "../../config/schema.js";
import { ProtocolError } from "../../errors.js";
import { Fences, isFence } from "../../mongrel2/fences.js";
import { CANCEL, extendedHead, KEEP_ALIVE } from "../../protocol/reply.js";
import { parseRequest, RequestError } from "../../protocol/request.js";
import type { Clock } from "../../util/clock.js";
import { NativeTransport } from "../../zmq/native-transport.js";
import type { Receiver } from "../../zmq/transport.js";

export interface RoundTrip {
  readonly milliseconds: number;
  /** The send_ident that Mongrel2 signed its answer with. */
  readonly ident: string;
  /** Notices that another process asked for came in. */
  readonly isShared: boolean;
}

/** How long Mongrel2 may take to answer, and the time between two questions; milliseconds. */
const PATIENCE = 2000;
const EVERY = 25;
/** After the answer, for requests that Mongrel2 has handed over and we have not read yet; milliseconds. */
const SETTLE = 20;

/** Undefined when no answer comes. Rejects with "link_failed" when an address cannot be used at all. */
export async function roundTrip(server: ServerConfig, clock: Clock): Promise<RoundTrip | undefined> {
  const link = new NativeTransport({
    sendSpec: server.send_spec,
    recvSpec: server.recv_spec,
    identity: server.identity,
    bind: server.bind,
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

function ask(link: NativeTransport, send: Send, clock: Clock): Promise<RoundTrip | undefined> {
  // To a daemon these are fences of another process, and of one that is gone before that proves anything (mongrel2/contention.ts).
  const fences = new Fences(clock.now(), Math.random);
  let isShared = false;
  /** Until the answer has come: what is sent while nobody listens yet is lost. */
  let held: number[] | undefined = [];
  return new Promise((resolve, reject) => {
    const again = clock.every(EVERY, () => send([fences.arm(clock.monotonic(), passed)], KEEP_ALIVE));
    const late = clock.after(PATIENCE, () => end(() => resolve(undefined)));
    const end = (settle: () => void) => {
      again();
      late();
      settle();
    };
    /** Of the latest that passed: an answer passes all fences before it, too. */
    let milliseconds = 0;
    const passed = (took: number) => {
      milliseconds = took;
    };
    const answered = (id: number, ident: string) => {
      isShared ||= fences.isForeign(id);
      if (!fences.noticeReceived(id, clock.monotonic()) || !held) return;
      for (const stranded of held) send([stranded], CANCEL);
      held = undefined;
      end(() => clock.after(SETTLE, () => resolve({ milliseconds, ident, isShared })));
    };
    const stranded = (id: number) => (held ? void held.push(id) : send([id], CANCEL));
    link.start(receiverOf(answered, stranded)).catch((error: unknown) => end(() => reject(error)));
  });
}

function receiverOf(answered: (id: number, ident: string) => void, stranded: (id: number) => void): Receiver {
  const take = (bytes: Buffer) => {
    const message = parseRequest(bytes);
    if (message.kind === "http") stranded(message.id);
    else if (message.kind === "disconnect" && isFence(message.id)) answered(message.id, message.sender);
  };
  return {
    message(bytes) {
      try {
        take(bytes);
      } catch (error) {
        if (!(error instanceof ProtocolError)) throw error;
        if (error instanceof RequestError && error.id !== undefined) stranded(error.id);
      }
    },
    connected() {},
    disconnected() {},
    protocolError() {},
  };
}
