/**
 * The libraries by which pages and programs follow streams, as their documentation says to use them, behind one interface. They
 * come without types, or with those of browsers.
 */
import { createRequire } from "node:module";

const require = createRequire(import.meta.url);

export interface Heard {
  readonly type: string;
  readonly data: string;
  readonly id: string | undefined;
}

/** What a page does with its events; a library must not call it for anything else. */
type Hear = (heard: Heard) => void;

export interface Library {
  readonly name: string;
  /** Begins to follow; returns how it ends. */
  readonly open: (url: string, hear: Hear) => () => void;
}

interface Source {
  onmessage: ((event: MessageEvent) => void) | null;
  addEventListener(type: string, listener: (event: MessageEvent) => void): void;
  close(): void;
}

const TYPES = ["m2push-gap", "m2push-open"];

/** What shares the interface of browsers' EventSource. */
function followed(source: Source, hear: Hear): () => void {
  const take = ({ type, data, lastEventId: id }: MessageEvent) => hear({ type, data: String(data), id });
  source.onmessage = take;
  for (const type of TYPES) source.addEventListener(type, take);
  return () => source.close();
}

/** What fetch-event-source looks for in a page. */
function asPage(): void {
  const deaf = { addEventListener() {}, removeEventListener() {} };
  const page = globalThis as { document?: unknown; window?: unknown };
  page.document ??= { hidden: false, ...deaf };
  page.window ??= Object.assign(globalThis, deaf);
}

function fetchEventSource(url: string, hear: Hear): () => void {
  asPage();
  const library = require("@microsoft/fetch-event-source");
  const leaving = new AbortController();
  const onmessage = ({ event, data, id }: { event: string; data: string; id: string }) =>
    hear({ type: event || "message", data, id });
  // A stream has no mark at its end: a cut is a clean end to fetch(), after which this library stays away unless onclose throws.
  const onclose = () => {
    throw new Error("the stream ended");
  };
  const options = { signal: leaving.signal, openWhenHidden: true, onmessage, onclose, onerror: () => 100 };
  // It resolves when it is aborted; every error goes to onerror.
  void library.fetchEventSource(url, options);
  return () => leaving.abort();
}

function eventSourceClient(url: string, hear: Hear): () => void {
  const { createEventSource } = require("eventsource-client");
  const onMessage = ({ event, data, id }: { event?: string; data: string; id?: string }) =>
    hear({ type: event ?? "message", data, id });
  const source = createEventSource({ url, onMessage });
  return () => source.close();
}

function polyfill(url: string, hear: Hear, options = {}): () => void {
  const { EventSourcePolyfill } = require("event-source-polyfill");
  return followed(new EventSourcePolyfill(url, options), hear);
}

function reconnecting(url: string, hear: Hear): () => void {
  const { EventSource } = require("eventsource");
  const { default: Reconnecting } = require("reconnecting-eventsource");
  return followed(new Reconnecting(url, { eventSourceClass: EventSource, max_retry_time: 200 }), hear);
}

export const LIBRARIES: readonly Library[] = [
  { name: "@microsoft/fetch-event-source 2", open: fetchEventSource },
  { name: "event-source-polyfill 1", open: (url, hear) => polyfill(url, hear) },
  {
    name: "event-source-polyfill 1 with lastEventIdQueryParameterName",
    open: (url, hear) => polyfill(url, hear, { lastEventIdQueryParameterName: "Last-Event-ID" }),
  },
  { name: "eventsource 2", open: (url, hear) => followed(new (require("eventsource2"))(url), hear) },
  { name: "eventsource 3", open: (url, hear) => followed(new (require("eventsource3").EventSource)(url), hear) },
  { name: "eventsource 4", open: (url, hear) => followed(new (require("eventsource").EventSource)(url), hear) },
  { name: "eventsource-client 1", open: eventSourceClient },
  { name: "reconnecting-eventsource 1", open: reconnecting },
];
