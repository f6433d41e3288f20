/**
 * Reads one event stream of a hub over HTTP, event by event: the next bytes are read when the events before are taken, so a slow reader
 * makes the hub wait and no queue grows. The parser is that of the client on npm.
 */
import { request as httpRequest, type IncomingMessage } from "node:http";
import { request as httpsRequest } from "node:https";
import { eventParser } from "#client/parser.js";
import { M2pushError, messageOf } from "../../errors.js";
import type { Clock } from "../../util/clock.js";
import { printableLine } from "../../util/escape.js";
import { retryDelayMs } from "../../util/retry-after.js";

/** UTF-16 units of one event; beyond it the stream is ended. */
export const MAX_EVENT_CHARACTERS = 16_777_216;
/** From the start of an attempt to the head of its response. */
const OPEN_TIMEOUT_MS = 30_000;
/** A stream whose hub announces heartbeats is silent after this many that did not come. */
const MAX_MISSED_HEARTBEAT_COUNT = 2;
/** Of the text of a refusal, and how long it may take to arrive. */
const MAX_REASON_BYTES = 1000;
const REASON_TIMEOUT_MS = 2000;
const MS_PER_SECOND = 1000;

export interface StreamRequest {
  readonly url: URL;
  readonly token: string | undefined;
  /** "" = none. */
  readonly lastEventId: string;
  readonly signal: AbortSignal;
  readonly clock: Clock;
}

export interface StreamEvent {
  readonly type: string;
  /** Undefined = a position alone. */
  readonly data: string | undefined;
  /** The position after it; "" = unknown. */
  readonly id: string;
}

export interface OpenedStream {
  /** Throws StreamLost when the stream has ended, in whatever way. */
  readonly events: AsyncGenerator<StreamEvent, never, undefined>;
}

/** The stream has ended, or could not be opened: another attempt may succeed. */
export class StreamLost extends Error {
  /** The hub asks for this delay, milliseconds; 0 = it does not. */
  readonly retryAfterMs: number;

  constructor(reason: string, retryAfterMs = 0) {
    super(reason);
    this.retryAfterMs = retryAfterMs;
  }
}

/**
 * Opens a stream; undefined = the hub has answered 204: it has nothing for this client, now and later. `retry` is called with the reconnection
 * delay that the hub asks for, milliseconds. Rejects with StreamLost where another attempt may succeed, with an M2pushError otherwise.
 */
export async function openEventStream(
  request: StreamRequest,
  retry: (delayMs: number) => void,
): Promise<OpenedStream | undefined> {
  const response = await respond(request).catch((error: unknown) => {
    throw new StreamLost(`cannot reach ${request.url.origin}: ${causeOf(error)}`);
  });
  if (response.statusCode === 204) {
    response.destroy();
    return undefined;
  }
  await checkResponse(response, request);
  return { events: eventsOf(response, request.clock, retry) };
}

/** Whether an id can be the value of a header, as UTF-8. */
export const isSendable = (id: string): boolean => !/[\0-\x08\x0a-\x1f\x7f]/.test(id);

function respond({ url, token, lastEventId, signal, clock }: StreamRequest): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const send = url.protocol === "https:" ? httpsRequest : httpRequest;
    const headers = {
      accept: "text/event-stream",
      "cache-control": "no-cache",
      ...(token !== undefined && { authorization: `Bearer ${token}` }),
      // A header has bytes; node:http takes each from a character.
      ...(lastEventId !== "" && { "last-event-id": Buffer.from(lastEventId).toString("latin1") }),
    };
    const request = send(url, { agent: false, headers, signal });
    const cancel = clock.after(OPEN_TIMEOUT_MS, () =>
      request.destroy(new Error(`no response within ${OPEN_TIMEOUT_MS / MS_PER_SECOND} s`)),
    );
    request.once("response", (response) => {
      cancel();
      resolve(response);
    });
    // Errors after the response are those of its body, too.
    request.on("error", (error) => {
      cancel();
      reject(error);
    });
    request.end();
  });
}

/** Rejects unless the response is an event stream. */
async function checkResponse(response: IncomingMessage, { url, token, clock }: StreamRequest): Promise<void> {
  const { statusCode: status = 0, headers } = response;
  const isStream = /^text\/event-stream\b/i.test(headers["content-type"] ?? "");
  if (status === 200 && isStream) return;
  const text = printableLine(await beginningOf(response, clock));
  const what = `${url.href} answered ${status}${text && `: ${text}`}`;
  if (status >= 500 || [408, 425, 429].includes(status))
    throw new StreamLost(what, retryDelayMs(headers["retry-after"], clock.now()));
  if (status === 401 || status === 403) {
    const fix =
      token === undefined ? "pass a token with --token-file or M2PUSH_TOKEN" : "pass a token that this hub accepts";
    throw new M2pushError(status === 401 ? "unauthenticated" : "forbidden", `${what}; fix: ${fix}`);
  }
  if (status >= 300 && status < 400)
    throw new M2pushError(
      "link_failed",
      `${what}; fix: subscribe to ${printableLine(headers.location ?? "its new address")}`,
    );
  const expected = status === 200 ? "; expected an event stream (text/event-stream)" : "";
  throw new M2pushError(
    "link_failed",
    `${what}${expected}; fix: pass the URL of a hub, such as http://localhost:6767/.well-known/mercure`,
  );
}

/** A body may be endless or stop in the middle, or its connection may end. */
async function beginningOf(response: IncomingMessage, clock: Clock): Promise<string> {
  let text = "";
  const incomplete = new Error(`incomplete after ${REASON_TIMEOUT_MS / MS_PER_SECOND} s`);
  const cancel = clock.after(REASON_TIMEOUT_MS, () => response.destroy(incomplete));
  try {
    for await (const piece of response) {
      text += String(piece);
      if (text.length >= MAX_REASON_BYTES) break;
    }
  } catch (error) {
    text += ` (${causeOf(error)})`;
  } finally {
    cancel();
  }
  response.destroy();
  return text.slice(0, MAX_REASON_BYTES);
}

async function* eventsOf(
  response: IncomingMessage,
  clock: Clock,
  retry: (delayMs: number) => void,
): AsyncGenerator<StreamEvent, never, undefined> {
  let received: StreamEvent[] = [];
  let maxSilenceMs = 0;
  const parse = eventParser({ received: (type, data, id) => received.push({ type, data, id }), retry });
  const decoder = new TextDecoder();
  try {
    const pieces = response[Symbol.asyncIterator]();
    for (;;) {
      const text = decoder.decode(await nextPiece(pieces, response, maxSilenceMs, clock), { stream: true });
      if (parse(text) > MAX_EVENT_CHARACTERS)
        throw new StreamLost(`an event is longer than ${MAX_EVENT_CHARACTERS} characters`);
      const events = received;
      received = [];
      for (const event of events) {
        if (event.type === "m2push-heartbeat")
          maxSilenceMs = Number(event.data) * MS_PER_SECOND * MAX_MISSED_HEARTBEAT_COUNT || 0;
        yield event;
      }
    }
  } finally {
    response.destroy();
  }
}

/** The time during which nothing is read does not count as silence. */
async function nextPiece(
  pieces: AsyncIterator<unknown>,
  response: IncomingMessage,
  maxSilenceMs: number,
  clock: Clock,
): Promise<Buffer> {
  const silent = () => response.destroy(new Error(`silent for ${maxSilenceMs / MS_PER_SECOND} s`));
  const cancel = maxSilenceMs > 0 ? clock.after(maxSilenceMs, silent) : () => {};
  try {
    const { done, value } = await pieces.next();
    if (!done) return value as Buffer;
  } catch (error) {
    throw new StreamLost(causeOf(error));
  } finally {
    cancel();
  }
  throw new StreamLost("the hub has closed the stream");
}

/** Connecting to several addresses fails with a list that has no message. */
function causeOf(error: unknown): string {
  if (error instanceof AggregateError && error.errors.length > 0) return messageOf(error.errors[0]);
  return messageOf(error);
}
