/**
 * m2push/client: event streams of m2push, or of any Mercure hub, in browsers and Node.js. README.md describes it.
 *
 *   import { connect } from "m2push/client";
 *   const hub = connect({ url: "/.well-known/mercure", topics: ["news", "https://example.com/books/{id}"] });
 *   hub.addEventListener("message", (event) => console.log(event.lastEventId, event.data));
 *   hub.addEventListener("price", (event) => ...);    // events that were published with this type
 *   hub.addEventListener("gap", (event) => ...);      // event.detail: { reason, oldest }: some events are lost
 *   for await (const event of hub) ...                // the same as "message"
 */
import { Hub } from "./hub.js";
import type { GetToken, SourceOptions, TransportName } from "./types.js";

export type { Hub, HubEvent, HubEventMap } from "./hub.js";
export type { Failure, Gap, GetToken, State, TransportName } from "./types.js";

/** Where to connect, and to which topics. */
export interface Target {
  /** In a page relative to the page. */
  readonly url: string | URL;
  /** Topics and URI templates, as `topic` parameters (Mercure 0.x, and the plain address of m2push). */
  readonly topics?: readonly string[];
  /** Topics as `match` parameters, and patterns by urlPattern() (Mercure draft-08). Not together with `topics`. */
  readonly match?: readonly string[];
  /** m2push: begin with the newest event of each topic. */
  readonly latest?: boolean;
  /** m2push: begin with this many of the newest events. */
  readonly last?: number;
  /** m2push: begin with the events since a time, or since a duration ago ("10m"). */
  readonly since?: Date | string;
  /** Continue after this event; "earliest" = with everything that the hub has. */
  readonly lastEventId?: string;
}

export interface Options {
  /**
   * Whether all tabs use one connection, true unless it is false. A string names whose stream it is, such as the id of the user: streams with a
   * token or headers are shared only then. Streams that begin with earlier events (`latest`, `last`, `since`, `lastEventId`) are never shared.
   */
  readonly share?: boolean | string;
  /** Cookies for a hub of another origin. */
  readonly withCredentials?: boolean;
  /** fetch() unless it is "eventsource", which has no headers and no token, does not tell the status of a refusal, and ignores the hub's retry delay. */
  readonly transport?: TransportName;
  readonly headers?: Readonly<Record<string, string>>;
  /** Sent as `Authorization: Bearer`. A function is called before each attempt, and before the token (a JWT) expires. */
  readonly token?: string | GetToken;
  /** false = do not ask for heartbeats, by which a stalled stream is detected; true unless it is false. */
  readonly heartbeat?: boolean;
  /** m2push: open a stream whose topics change without a new connection. Without it the first change() makes one. Not shared. */
  readonly control?: boolean;
  /** Address of the hub; absent = /.well-known/mercure there. Needed for changes of topics only. */
  readonly hub?: string | URL;
}

/** A URL pattern for `match`, and for change() of a stream with `match`: `match_urlpattern` in Mercure draft-08. No topic begins with a line end. */
export const urlPattern = (pattern: string): string => `\n${pattern}`;

/**
 * Connects, or joins the connection of another tab. A tab receives the events after connect(); with `lastEventID` in the address, the tab that
 * opens the connection also those after that id. Throws a TypeError for an address that is none.
 */
export function connect(to: string | URL | Target, options: Options = {}): Hub {
  const target = typeof to === "string" || to instanceof URL ? { url: to } : to;
  const { topics, match, latest, last, since, lastEventId = "" } = target;
  const url = new URL(target.url, globalThis.location?.href);
  const start = { latest: latest ? 1 : undefined, last, since: since instanceof Date ? since.toISOString() : since };
  for (const [name, value] of Object.entries(start)) if (value !== undefined) url.searchParams.set(name, String(value));
  const { share = true, token, headers = {}, transport = "fetch", heartbeat = true, control = false } = options;
  const source: SourceOptions = {
    ...{ url: url.href, headers, transport, heartbeat, control, lastEventId },
    hub: new URL(options.hub ?? "/.well-known/mercure", url).href,
    parameter: match ? "match" : "topic",
    topics: match ?? topics ?? [],
    credentials: options.withCredentials ? "include" : "same-origin",
  };
  const isPersonal = token !== undefined || Object.keys(headers).length > 0;
  const isOwn = control || latest || last || since || lastEventId;
  const shared = isOwn || (isPersonal && share === true) ? false : share;
  return new Hub(source, shared, typeof token === "string" ? () => token : token);
}
