/**
 * Requests to the other nodes of a cluster, of which one may know what is asked for: the name of a stream. Every node answers; the first answer
 * that is not "not_found" counts. Where no node knows it, the answers tell so only if every node has answered: a node that has just stopped may
 * be starting again, with the streams that it serves.
 */

import type { JsonValue } from "../delivery/subscriber.js";
import { M2pushError, messageOf, ProtocolError, type ReplyCode } from "../errors.js";
import type { Clock } from "../util/clock.js";
import type { StreamSession } from "./stream-session.js";

/** The other nodes, as far as they are known. */
export interface Peers {
  readonly ids: readonly string[];
  /** No other node is starting or restarting, as far as this one can tell. */
  readonly areAllKnown: boolean;
}

export interface NodeRequestsOptions {
  readonly clock: Clock;
  /** Of this node. */
  readonly id: string;
  readonly peers: () => Peers;
}

/** Carries out a request on this node. Rejects with "not_found" if it knows nothing of it. */
type HandleRequest = (request: JsonValue) => Promise<JsonValue>;

interface RequestMessage {
  readonly node: string;
  readonly request: JsonValue;
}

interface AnswerMessage {
  readonly node: string;
  /** Absent = `error` says why. */
  readonly result?: JsonValue;
  readonly error?: { readonly code: ReplyCode; readonly message: string; readonly retryAfterMs?: number | undefined };
}

/** How long the node that knows may take. */
const ANSWER_TIMEOUT_MS = 2000;
/** Requests without an answer; beyond: "unavailable". Any client can cause them. */
const MAX_PENDING_COUNT = 100;
/** When to repeat a request that no node could answer. */
const RETRY_MS = 1000;

export class NodeRequests {
  readonly #options: NodeRequestsOptions;
  #session: StreamSession | undefined;
  #handle: HandleRequest | undefined;
  #pending = 0;

  constructor(options: NodeRequestsOptions) {
    this.#options = options;
  }

  /** Requests go through this session from now on; undefined = disconnected. */
  connect(session: StreamSession | undefined): void {
    this.#session = session;
    session?.onRequest((data) => this.#answer(data));
  }

  /** Answers the requests of other nodes. */
  serve(handle: HandleRequest): void {
    this.#handle = handle;
  }

  /**
   * Resolves with the answer of the node that knows what is asked for; undefined = no node does. Rejects with the error of that node, and
   * with "unavailable" if it does not answer within ANSWER_TIMEOUT_MS: then it is unknown whether it has carried out the request.
   */
  async send(request: JsonValue): Promise<JsonValue | undefined> {
    const peers = this.#options.peers();
    if (peers.ids.length === 0 && peers.areAllKnown) return undefined;
    const session = this.#session;
    if (!session) throw unavailable("NATS is disconnected");
    if (this.#pending >= MAX_PENDING_COUNT) throw unavailable("too many requests to other nodes at a time");
    this.#pending++;
    try {
      return await this.#collect(session, request, peers);
    } finally {
      this.#pending--;
    }
  }

  #collect(session: StreamSession, request: JsonValue, { ids, areAllKnown }: Peers): Promise<JsonValue | undefined> {
    const { id, clock } = this.#options;
    const missing = new Set(ids);
    const message: RequestMessage = { node: id, request };
    return new Promise<JsonValue | undefined>((resolve, reject) => {
      const answered = (data: Uint8Array) => {
        const answer = parseAnswer(data);
        if (!answer || answer.node === id) return;
        const { error, result, node } = answer;
        if (error && error.code !== "not_found") end(() => reject(errorOf(error)));
        else if (!error) end(() => resolve(result));
        else if (missing.delete(node) && missing.size === 0) {
          end(() =>
            areAllKnown ? resolve(undefined) : reject(unavailable("the node that serves the stream may be starting")),
          );
        }
      };
      const stop = session.request(Buffer.from(JSON.stringify(message)), answered);
      const cancel = clock.after(ANSWER_TIMEOUT_MS, () =>
        end(() => reject(unavailable("the node that serves the stream does not answer"))),
      );
      const end = (complete: () => void) => {
        stop();
        cancel();
        complete();
      };
    });
  }

  async #answer(data: Uint8Array): Promise<Uint8Array | undefined> {
    const { id: node } = this.#options;
    const message = parseRequest(data);
    if (!message || message.node === node || !this.#handle) return undefined;
    const answer = await this.#handle(message.request).then(
      (result): AnswerMessage => ({ node, result }),
      (error: unknown): AnswerMessage => ({ node, error: describe(error) }),
    );
    return Buffer.from(JSON.stringify(answer));
  }
}

const errorOf = ({ code, message, retryAfterMs }: NonNullable<AnswerMessage["error"]>) =>
  new ProtocolError(code, message, retryAfterMs === undefined ? {} : { retryAfterMs });

const unavailable = (reason: string) =>
  new ProtocolError("unavailable", `${reason}; fix: try again`, { retryAfterMs: RETRY_MS });

function describe(error: unknown): NonNullable<AnswerMessage["error"]> {
  if (error instanceof ProtocolError) {
    const { code, message, retryAfterMs } = error;
    return { code, message, retryAfterMs };
  }
  const isTemporary = error instanceof M2pushError && (error.code === "unavailable" || error.code === "storage_failed");
  const code = isTemporary ? (error.code as ReplyCode) : "internal";
  return { code, message: messageOf(error), ...(isTemporary && { retryAfterMs: error.retryAfterMs ?? RETRY_MS }) };
}

/** Undefined for a message of another format. Writers of these subjects are trusted, but may have another version. */
function parseRequest(data: Uint8Array): RequestMessage | undefined {
  const message = parseJson(data) as Partial<RequestMessage> | null | undefined;
  return typeof message?.node === "string" && message.request !== undefined ? (message as RequestMessage) : undefined;
}

function parseAnswer(data: Uint8Array): AnswerMessage | undefined {
  const message = parseJson(data) as Partial<AnswerMessage> | null | undefined;
  const isAnswer = typeof message?.node === "string" && (message.result !== undefined || isError(message.error));
  return isAnswer ? (message as AnswerMessage) : undefined;
}

const isError = (error: AnswerMessage["error"]): boolean =>
  typeof error?.code === "string" && typeof error.message === "string";

function parseJson(data: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(data).toString());
  } catch {
    return undefined;
  }
}
