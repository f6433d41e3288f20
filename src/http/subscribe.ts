/**
 * From a request to a stream of events (WHATWG HTML 9.2; Mercure, "Subscription"): read what is asked for, see who asks, open.
 * Whatever the request says only routes; what may be seen comes from the token alone.
 */
import { randomUUID } from "node:crypto";
import type { Client } from "../delivery/client.js";
import type { Server } from "../delivery/server-delivery.js";
import type { Subscribed, Subscriber } from "../delivery/subscriber.js";
import { ProtocolError } from "../errors.js";
import type { Hub } from "../hub/hub.js";
import type { Interest } from "../matching/interest.js";
import { canonical, covers, type Selector } from "../matching/selector.js";
import { type HttpRequest, header, lastHeader } from "../protocol/request.js";
import { encodeComment, encodeRetry } from "../protocol/sse.js";
import { memoizeLast } from "../util/memoize-last.js";
import { type Access, isResponse, type Principal } from "./access.js";
import { hasTokenInQuery } from "./auth/carrier.js";
import { refusal } from "./auth/refusal.js";
import type { CompileQueue } from "./compile-queue.js";
import { corsHeaders, NO_CORS } from "./cors.js";
import { headerCursor } from "./cursor.js";
import type { RequestedSelectors } from "./mercure/dialect.js";
import { encodeResponseHead, type Response } from "./response.js";
import type { RouteMethod, RouteResult } from "./router.js";
import { type ParsedSubscribeRequest, type SubscribeRequest, SubscribeRequestParser } from "./subscribe-request.js";

/** What may change while the daemon runs. */
export interface SubscribeSettings {
  readonly access: Access;
  /** What browsers are told to wait before they reconnect, milliseconds. */
  readonly retry: number;
  /** The most clients of all servers together; 0 = no limit. */
  readonly maxClients: number;
  /** The most clients of one address; 0 = no limit. */
  readonly maxPerAddress: number;
  /** What the patterns of all clients may cost together; 0 = no limit. */
  readonly maxPatternCost: number;
  /** Longest time that one stream lasts, milliseconds; 0 = no limit. A token that expires earlier ends it then. */
  readonly maxLifetimeMs: number;
  readonly corsOrigins: readonly string[];
}

/**
 * Nothing may keep a copy, nothing may hold it back: X-Accel-Buffering is nginx's word for the latter, and a proxy that compresses
 * (express `compression`, as development servers have it) collects events until its block is full, unless it reads no-transform.
 */
const HEADERS = {
  "Content-Type": "text/event-stream",
  "Cache-Control": "no-cache, no-store, max-age=0, must-revalidate, no-transform",
  Expires: "Thu, 01 Jan 1970 00:00:00 GMT",
  Pragma: "no-cache",
  "X-Accel-Buffering": "no",
};

/** RFC 6750 section 2.3: a token in the address makes the answer private, whatever else a cache reads. */
const PRIVATE = { "Cache-Control": `private, ${HEADERS["Cache-Control"]}` };

/** Coprime to 1000: a thousand connections in a row get as many different ends. */
const SPREAD_FACTOR = 619;

const NO_GRANTS: readonly Selector[] = [];
const GREETING = encodeComment(" time stream");

export interface SubscribeParts {
  readonly settings: () => SubscribeSettings;
  readonly date: () => string;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

export class Subscribe {
  readonly #hub: Hub;
  readonly #base: string;
  readonly #queue: CompileQueue;
  readonly #settings: () => SubscribeSettings;
  readonly #date: () => string;
  readonly #now: () => number;
  /** What most are told first, all the same for a second. */
  readonly #plain = memoizeLast((date: string) =>
    memoizeLast((retry: number) => openingOf(retry, { Date: date, ...HEADERS })),
  );

  /** `base` is the hub's URL; `settings` are asked for anew with each request, `date` is the Date header's. */
  constructor(hub: Hub, base: string, queue: CompileQueue, { settings, date, now }: SubscribeParts) {
    this.#hub = hub;
    this.#base = base;
    this.#queue = queue;
    this.#settings = settings;
    this.#date = date;
    this.#now = now;
  }

  /** What a route's requests ask for; `read`: see Wishes. */
  method(read: (request: HttpRequest) => SubscribeRequest): RouteMethod {
    const wishes = new SubscribeRequestParser(read, this.#base, this.#queue);
    return (server, request) => this.#handle(server, request, wishes);
  }

  #handle(server: Server, request: HttpRequest, wishes: SubscribeRequestParser): RouteResult | Promise<RouteResult> {
    try {
      const full = this.#full(request);
      if (full) return full;
      const wish = wishes.of(request);
      if (!(wish instanceof Promise)) return this.#ask(server, request, wish);
      return this.#awaiting(server, request, wish, (it) => this.#ask(server, request, it)).catch(refused);
    } catch (error) {
      return refused(error);
    }
  }

  /** Who asks, and then the stream. */
  #ask(server: Server, request: HttpRequest, wish: ParsedSubscribeRequest): RouteResult | Promise<RouteResult> {
    const open = (asker: Principal | Response) =>
      isResponse(asker) ? asker : this.#open(server, request, wish, asker);
    const asker = this.#settings().access.subscriber(request);
    return asker instanceof Promise ? this.#awaiting(server, request, asker, open) : open(asker);
  }

  /** Goes on when something is known, unless the connection is gone by then. */
  #awaiting<T>(
    server: Server,
    request: HttpRequest,
    known: Promise<T>,
    then: (it: T) => RouteResult | Promise<RouteResult>,
  ): Promise<RouteResult> {
    return server.continueAfter(request.id, known, then);
  }

  #open(
    server: Server,
    request: HttpRequest,
    wish: ParsedSubscribeRequest,
    asker: Principal,
  ): RouteResult | Promise<RouteResult> {
    const { corsOrigins, retry } = this.#settings();
    const grants = asker === "anonymous" ? NO_GRANTS : canonical(asker.subscribe);
    const isPublicOnly = grants.length > 0 && !server.servesPrivate;
    const interest = asker === "anonymous" || isPublicOnly ? wish.interest : { ...wish.interest, grants };
    const sent = lastHeader(request, "last-event-id");
    const shown = sent && headerCursor(sent);
    const cursor = shown || (wish.cursor ?? shown);
    const cors = corsHeaders(request, corsOrigins);
    const cursorHeader = cursor === undefined ? undefined : wish.cursorHeader;
    const told = (after = "earliest") => (cursorHeader ? { [cursorHeader]: after } : {});
    const isShared = asker !== "anonymous" && hasTokenInQuery(request.query);
    const isPlain = cors === NO_CORS && !cursorHeader && !isShared;
    const headers = { ...HEADERS, ...(isShared && PRIVATE), ...cors };
    if (request.method === "HEAD") return { status: 200, headers };
    const date = this.#date();
    let full: Response | undefined;
    const opened = this.#hub.subscribe(server, {
      id: request.id,
      remote: request.remote,
      interest,
      expiresAt: this.#endOf(request, asker),
      keyFingerprints: asker === "anonymous" ? undefined : asker.keyFingerprints,
      subscriber: wish.isPublic ? this.#subscriber(wish.asked, asker) : undefined,
      // An empty header says nothing; a parameter that is there and empty is a position that got lost on its way.
      lastEventId: shown || wish.cursor,
      equalIds: wish.equalIds,
      creditLimit: request.credits,
      isPublicOnly,
      // Others may have come while a token was checked or the history was asked: the limits count when it becomes a client.
      admit: () => {
        full = this.#full(request) ?? this.#tooExpensive(server, interest) ?? this.#revoked(asker);
        return full === undefined;
      },
      namesOpening: asksForEvents(request),
      opening: (after) =>
        isPlain ? this.#plain(date)(retry) : openingOf(retry, { Date: date, ...headers, ...told(after) }),
    });
    const outcome = (client: Client | undefined): RouteResult => (client ? "streaming" : full);
    return opened instanceof Promise ? opened.then(outcome) : outcome(opened);
  }

  /** Streams of one moment end apart: after 80 to 100 % of the lifetime, by their connection ids. */
  #endOf({ id }: HttpRequest, principal: Principal): number | undefined {
    const expiresAt = principal === "anonymous" ? undefined : principal.expiresAt;
    const { maxLifetimeMs } = this.#settings();
    if (maxLifetimeMs === 0) return expiresAt;
    const part = 0.8 + (0.2 * ((id * SPREAD_FACTOR) % 1000)) / 1000;
    return Math.min(expiresAt ?? Number.POSITIVE_INFINITY, this.#now() + Math.round(maxLifetimeMs * part));
  }

  #subscriber(asked: readonly RequestedSelectors[], asker: Principal): Subscriber {
    const subscribed = new Map<string, Subscribed>();
    for (const { kind, value: match } of asked) {
      const payload = asker === "anonymous" ? undefined : this.#payload(match, asker);
      subscribed.set(`${kind}\n${match}`, { kind, match, ...(payload !== undefined && { payload }) });
    }
    const subject = asker === "anonymous" ? undefined : asker.subject;
    return {
      id: `urn:uuid:${randomUUID()}`,
      subscriptions: [...subscribed.values()],
      ...(subject !== undefined && { subject }),
    };
  }

  /** Of the first entry that selects what is asked for, taken as a topic. */
  #payload(match: string, { payloads }: Exclude<Principal, "anonymous">) {
    return payloads.find(({ topics }) => covers(topics, [match], this.#base))?.payload;
  }

  #full({ remote }: HttpRequest): Response | undefined {
    const { maxClients, maxPerAddress } = this.#settings();
    if (maxClients > 0 && this.#hub.clients >= maxClients) {
      return { status: 503, headers: this.#wait(), body: "too many clients\n" };
    }
    if (maxPerAddress > 0 && this.#hub.countOf(remote) >= maxPerAddress) {
      return {
        status: 429,
        headers: this.#wait(),
        body: "too many streams from this address\n",
        why: `${remote}: too many`,
      };
    }
    return undefined;
  }

  /** The patterns of all streams together are bounded. */
  #tooExpensive(server: Server, interest: Interest): Response | undefined {
    const { maxPatternCost } = this.#settings();
    const added = maxPatternCost > 0 ? server.patternCostOf(interest) : 0;
    if (added === 0 || this.#hub.patternCost + added <= maxPatternCost) return undefined;
    const why = `a pattern cost of ${added} more is above max_pattern_cost`;
    return { status: 503, headers: this.#wait(), body: "the patterns of all streams are too expensive\n", why };
  }

  /** Its key may have been removed meanwhile. */
  #revoked(asker: Principal): Response | undefined {
    if (asker === "anonymous" || this.#hub.trusts(asker.keyFingerprints)) return undefined;
    return this.#settings().access.refused(refusal("invalid_token", "its key was removed"));
  }

  #wait(): { readonly "Retry-After": string } {
    return { "Retry-After": `${Math.ceil(this.#settings().retry / 1000)}` };
  }
}

/** What is wrong with a request is told to its client; anything else is not its fault. */
function refused(error: unknown): Response {
  if (!(error instanceof ProtocolError)) throw error;
  return { status: 400, body: `${error.message}\n`, why: error.message };
}

/** What comes first; the hub adds the event that ends this block, with the client's first position. */
function openingOf(retry: number, headers: Readonly<Record<string, string>>): Buffer {
  return Buffer.concat([Buffer.from(encodeResponseHead(200, headers)), GREETING, encodeRetry(retry)]);
}

/**
 * Browsers and client libraries say that they read EventSource, and name themselves (fetch) or ask for nothing cached (EventSource).
 * What does not, such as curl or a program that reads the bytes by itself, is shown no event of ours: it may take every block with
 * data for a published one.
 */
function asksForEvents(request: HttpRequest): boolean {
  const says = (name: string) => header(request, name) ?? "";
  if (!says("accept").toLowerCase().includes("text/event-stream")) return false;
  return says("user-agent") !== "" || says("cache-control") !== "";
}
