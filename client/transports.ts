/**
 * The two ways to read an event stream. fetch() has headers, tells the status of a refusal, and shows events of every type; EventSource needs no
 * preflight for another origin. EventSource does not reconnect by itself here: one part of the client decides when (source.ts).
 */
import { eventParser } from "./parser.js";
import type { OpenStream, StreamObserver, StreamRequest } from "./types.js";

export function openEventSource(
  { url, lastEventId, credentials }: StreamRequest,
  observer: StreamObserver,
): OpenStream {
  if (lastEventId) url.searchParams.set(url.searchParams.has("match") ? "last_event_id" : "lastEventID", lastEventId);
  const events = new EventSource(url, { withCredentials: credentials === "include" });
  events.onopen = () => observer.opened();
  events.onerror = (event) => {
    if (!("data" in event)) observer.failed({ reason: "lost or refused" }); // else a published event of the type "error"
  };
  return {
    listen: (type) =>
      events.addEventListener(type, ({ data, lastEventId: id }) => {
        if (data === undefined) return; // the EventSource's own "error" or "open"
        observer.alive();
        observer.received(type, data, id);
      }),
    close: () => events.close(),
  };
}

export function openFetch(request: StreamRequest, observer: StreamObserver): OpenStream {
  const abort = new AbortController();
  read(request, observer, abort.signal).catch((error) => {
    if (!abort.signal.aborted) observer.failed({ reason: String(error) });
  });
  return { listen() {}, close: () => abort.abort() };
}

async function read(
  { url, headers, lastEventId, credentials }: StreamRequest,
  observer: StreamObserver,
  signal: AbortSignal,
) {
  const response = await fetch(url, {
    headers: {
      Accept: "text/event-stream",
      ...headers,
      ...(lastEventId && { "Last-Event-ID": bytesOf(lastEventId) }),
    },
    credentials,
    cache: "no-store",
    signal,
  });
  const { status, body } = response;
  if (status !== 200 || !body || !/^text\/event-stream/.test(response.headers.get("content-type") ?? "")) {
    const reason = status === 200 ? "not an event stream" : `${status} ${(await response.text()).slice(0, 200)}`.trim();
    const retryAfterMs = Number(response.headers.get("retry-after")) * 1000 || 0;
    return signal.aborted || observer.failed({ reason, status, retryAfterMs });
  }
  observer.opened();
  const parse = eventParser(observer);
  const decoder = new TextDecoder();
  const reader = body.getReader();
  for (let piece = await reader.read(); !piece.done; piece = await reader.read()) {
    if (signal.aborted) return;
    observer.alive();
    parse(decoder.decode(piece.value, { stream: true }));
  }
  if (!signal.aborted) observer.failed({ reason: "ended" });
}

/** A header has bytes; fetch() takes each from a character. */
const bytesOf = (text: string) => String.fromCharCode(...new TextEncoder().encode(text));
