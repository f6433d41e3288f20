/**
 * GET, HEAD and QUERY of both stream addresses (WHATWG HTML 9.2; Mercure, "Subscription"), from the request to the open stream: parse,
 * authorize, find the start of the replay, check the limits, open. Parameters select events; the token alone decides which private events
 * the client may get. Every step but the last two may take time; where none does, the stream opens in the turn of its request.
 */
import { randomUUID } from "node:crypto";
import { heartbeatEvent } from "../../delivery/heartbeat-event.js";
import type { ReplayRequest } from "../../delivery/replay.js";
import type { ServerDelivery } from "../../delivery/server-delivery.js";
import type { StreamControl } from "../../delivery/stream-control.js";
import type { Subscribed, Subscriber } from "../../delivery/subscriber.js";
import type { Hub } from "../../hub/hub.js";
import type { Interest } from "../../matching/interest.js";
import { canonical, covers, type Selector } from "../../matching/selector.js";
import { type HttpRequest, lastHeader } from "../../protocol/request.js";
import { isResponse, type Principal } from "../access.js";
import { hasTokenInQuery } from "../auth/find-token.js";
import { refuseToken, TOKEN_REVOKED } from "../auth/token-refusal.js";
import { compressed, prefersGzip, varyingHeaders } from "../content-encoding.js";
import { type CorsHeaders, corsHeaders, NO_CORS } from "../cors.js";
import { errorResponse, rejection, retryAfter } from "../error-response.js";
import { rejectEncodedBody } from "../form.js";
import { lastEventIdOfHeader } from "../last-event-id.js";
import { checkPatternCost } from "../pattern-cost.js";
import type { Response } from "../response.js";
import type { RouteMethod, RouteResult } from "../route-table.js";
import type { LiveSettings } from "../settings.js";
import { timeOf } from "../state-parameters.js";
import { asksForEvents, commonHead, encodeHead, PRIVATE_HEADERS, STREAM_HEADERS } from "../stream-head.js";
import { newControl } from "../stream-identity.js";
import type { SubscribeRequest, SubscribeRequestParser } from "../subscribe-request.js";
import { ENDED, hasHadAll } from "../topic-end.js";

/** Coprime to 1000: a thousand consecutive connections get as many different ends. */
const SPREAD_FACTOR = 619;

const NO_GRANTS: readonly Selector[] = [];

export interface SubscribeDeps {
  readonly hub: Hub;
  /** The hub's URL. */
  readonly base: string;
  readonly settings: LiveSettings;
  /** Clients that accept gzip get compressed streams. */
  readonly offersGzip: boolean;
  /** The value of the Date header. */
  readonly date: () => string;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

export class SubscribeRoute {
  readonly #parser: SubscribeRequestParser;
  readonly #deps: SubscribeDeps;
  /** The heads that most clients get, plain and compressed, the same for one second. */
  readonly #plainHead = commonHead(() => this.#encodingHeaders(NO_CORS, false));
  readonly #gzipHead = commonHead(() => this.#encodingHeaders(NO_CORS, true));

  constructor(parser: SubscribeRequestParser, deps: SubscribeDeps) {
    this.#parser = parser;
    this.#deps = deps;
  }

  readonly handle: RouteMethod = (server, request) => {
    try {
      const result = this.#subscribe(server, request);
      return result instanceof Promise ? result.catch(subscribeError) : result;
    } catch (error) {
      return subscribeError(error);
    }
  };

  #subscribe(server: ServerDelivery, request: HttpRequest): RouteResult | Promise<RouteResult> {
    const encoded = request.method === "QUERY" ? rejectEncodedBody(request) : undefined;
    const rejected = encoded ?? this.#rejectAtLimit(request);
    if (rejected) return rejected;
    return continueWith(server, request, this.#parser.parse(request), (parsed) =>
      this.#authorize(server, request, parsed),
    );
  }

  #authorize(
    server: ServerDelivery,
    request: HttpRequest,
    parsed: SubscribeRequest,
  ): RouteResult | Promise<RouteResult> {
    const { access } = this.#deps.settings.current;
    return continueWith(server, request, access.subscriber(request), (principal) => {
      if (isResponse(principal)) return principal;
      const refused = access.refuseAnonymous(parsed.interest.selectors, principal);
      if (refused) return refused;
      if (request.method === "HEAD") return { status: 200, headers: this.#headers(request, principal) };
      return this.#findReplay(server, request, parsed, principal);
    });
  }

  /** An empty header says nothing. An empty parameter is a last event id that was lost on its way. */
  #findReplay(
    server: ServerDelivery,
    request: HttpRequest,
    parsed: SubscribeRequest,
    principal: Principal,
  ): RouteResult | Promise<RouteResult> {
    const sent = lastHeader(request, "last-event-id");
    const lastEventId = (sent && lastEventIdOfHeader(sent)) || parsed.lastEventId;
    // EventSource reconnects to the same address with a last event id: then it continues, whatever the address asks for at the start.
    const state = lastEventId === undefined ? parsed.state : undefined;
    const found =
      state?.kind === "since"
        ? this.#deps.hub.findReplaySince(timeOf(state, this.#deps.now()))
        : this.#deps.hub.findReplay(lastEventId, parsed.equalIds);
    // A spread for each client that reconnects would be slow.
    const asked = state === parsed.state ? parsed : { ...parsed, state };
    return continueWith(server, request, found, (replay) =>
      continueWith(server, request, this.#findEnd(server, parsed, principal), () =>
        this.#open(server, request, asked, principal, replay),
      ),
    );
  }

  /** Whether its topic has ended can be told at once when this is complete; where it fails, the stream opens as if it had not. */
  #findEnd(server: ServerDelivery, parsed: SubscribeRequest, principal: Principal): Promise<unknown> | undefined {
    if (!this.#deps.hub.hasFinal) return undefined;
    const end = this.#deps.hub.topicEnd(interestOf(server, parsed, principal));
    return end instanceof Promise ? end.catch(() => {}) : undefined;
  }

  /** Synchronous: the limits are checked when the connection becomes a client, whatever happened while earlier steps took time. */
  #open(
    server: ServerDelivery,
    request: HttpRequest,
    parsed: SubscribeRequest,
    principal: Principal,
    replay: ReplayRequest,
  ): RouteResult {
    const { hub } = this.#deps;
    const wanted = interestOf(server, parsed, principal);
    const interest = this.#isCompressed(request) ? compressed(wanted) : wanted;
    const isPublicOnly = principal !== "anonymous" && principal.subscribe.length > 0 && !server.servesPrivate;
    const rejected = this.#rejectAtLimit(request) ?? this.#rejectRevoked(principal);
    if (rejected) return rejected;
    checkPatternCost(hub, server, interest, this.#deps.settings.current);
    const end = hub.topicEnd(interest);
    if (typeof end === "number" && hasHadAll(replay, end)) return ENDED;
    const control = parsed.isControlled ? newControl(parsed.dialect.name, principal) : undefined;
    hub.subscribe(server, {
      id: request.id,
      remote: request.remote,
      interest,
      expiresAt: this.#expiresAt(request, principal),
      keyFingerprints: principal === "anonymous" ? undefined : principal.keyFingerprints,
      tokenIds: principal === "anonymous" ? undefined : principal.tokenIds,
      subscriber: parsed.isListed ? this.#subscriber(parsed, principal) : undefined,
      subject: parsed.isListed || principal === "anonymous" ? undefined : principal.subject,
      replay,
      stateKind: parsed.state?.kind,
      selection: parsed.state?.kind === "since" ? undefined : parsed.state,
      creditLimit: request.credits,
      isPublicOnly,
      hasEnded: typeof end === "number",
      namesOpening: asksForEvents(request),
      control,
      head: this.#withHeartbeat(this.#head(request, parsed, principal, replay, control), parsed),
    });
    return "streaming";
  }

  /** The first heartbeat event follows the head, so that its client knows the interval from the beginning. */
  #withHeartbeat(head: Buffer, { hasHeartbeatEvents }: SubscribeRequest): Buffer {
    const { heartbeatMs } = this.#deps.settings.current;
    if (!hasHeartbeatEvents || heartbeatMs === 0) return head;
    return Buffer.concat([head, heartbeatEvent(heartbeatMs)]);
  }

  // ---- The head of the response ----------------------------------------------------------------------------------------

  #head(
    request: HttpRequest,
    parsed: SubscribeRequest,
    principal: Principal,
    replay: ReplayRequest,
    control: StreamControl | undefined,
  ): Buffer {
    const { hub, settings, date } = this.#deps;
    const { retryMs, corsOrigins } = settings.current;
    const { lastEventIdHeader } = parsed;
    const hasLastEventId = parsed.lastEventId !== undefined || request.headers.has("last-event-id");
    const startHeader =
      hasLastEventId && lastEventIdHeader
        ? { [lastEventIdHeader]: hub.replayedAfter(replay) ?? "earliest" }
        : undefined;
    const cors = corsHeaders(request, corsOrigins);
    const isPlain = cors === NO_CORS && !startHeader && !control && !isPrivate(request, principal);
    if (isPlain) return (this.#isCompressed(request) ? this.#gzipHead : this.#plainHead)(date())(retryMs);
    const named = control && { "M2push-Stream": control.name };
    return encodeHead(retryMs, { Date: date(), ...this.#headers(request, principal), ...startHeader, ...named });
  }

  #headers(request: HttpRequest, principal: Principal): Readonly<Record<string, string>> {
    const cors = corsHeaders(request, this.#deps.settings.current.corsOrigins);
    const encoded = this.#encodingHeaders(cors, this.#isCompressed(request));
    return { ...STREAM_HEADERS, ...(isPrivate(request, principal) && PRIVATE_HEADERS), ...encoded };
  }

  #encodingHeaders(cors: CorsHeaders, isCompressed: boolean): Readonly<Record<string, string>> {
    return this.#deps.offersGzip ? varyingHeaders(cors, isCompressed) : cors;
  }

  #isCompressed(request: HttpRequest): boolean {
    return this.#deps.offersGzip && prefersGzip(request);
  }

  // ---- Active subscriptions --------------------------------------------------------------------------------------------

  #subscriber({ selectors }: SubscribeRequest, principal: Principal): Subscriber {
    const subscribed = new Map<string, Subscribed>();
    for (const { kind, value: match } of selectors) {
      const payload = principal === "anonymous" ? undefined : this.#payload(match, principal);
      subscribed.set(`${kind}\n${match}`, { kind, match, ...(payload !== undefined && { payload }) });
    }
    const subject = principal === "anonymous" ? undefined : principal.subject;
    return {
      id: `urn:uuid:${randomUUID()}`,
      subscriptions: [...subscribed.values()],
      ...(subject !== undefined && { subject }),
    };
  }

  /** Of the first entry that selects the selector, taken as a topic. */
  #payload(match: string, { payloads }: Exclude<Principal, "anonymous">) {
    return payloads.find(({ topics }) => covers(topics, [match], this.#deps.base))?.payload;
  }

  /** Milliseconds since 1970. Streams that open together end apart: after 80 to 100 % of the longest time, by their connection ids. */
  #expiresAt({ id }: HttpRequest, principal: Principal): number | undefined {
    const expiresAt = principal === "anonymous" ? undefined : principal.expiresAt;
    const { maxLifetimeMs } = this.#deps.settings.current;
    if (maxLifetimeMs === 0) return expiresAt;
    const part = 0.8 + (0.2 * ((id * SPREAD_FACTOR) % 1000)) / 1000;
    return Math.min(expiresAt ?? Number.POSITIVE_INFINITY, this.#deps.now() + Math.round(maxLifetimeMs * part));
  }

  // ---- Limits ----------------------------------------------------------------------------------------------------------

  #rejectAtLimit({ remote }: HttpRequest): Response | undefined {
    const { hub, settings } = this.#deps;
    const { maxClients, maxPerAddress, retryMs } = settings.current;
    if (maxClients > 0 && hub.clients >= maxClients) {
      return rejection("unavailable", { headers: retryAfter(retryMs), body: "too many clients\n" });
    }
    if (maxPerAddress > 0 && hub.countOf(remote) >= maxPerAddress) {
      const body = "too many streams from this address\n";
      return rejection("rate_limited", { headers: retryAfter(retryMs), body, reason: `${remote}: too many streams` });
    }
    return undefined;
  }

  /** A token may be revoked, or its key be removed, while the request is in progress. */
  #rejectRevoked(principal: Principal): Response | undefined {
    const { hub, settings } = this.#deps;
    const { access } = settings.current;
    if (principal === "anonymous") return undefined;
    if (access.isRevoked(principal)) return access.invalidToken(TOKEN_REVOKED);
    if (hub.trusts(principal.keyFingerprints)) return undefined;
    return access.invalidToken(refuseToken("invalid_token", "the key of the token was removed"));
  }
}

/** Clients without a token share the object. (Where no private events are served, all do: then nobody gets those of topics that need one.) */
function interestOf(server: ServerDelivery, { interest }: SubscribeRequest, principal: Principal): Interest {
  if (!server.servesPrivate) return interest;
  const grants = principal === "anonymous" ? NO_GRANTS : canonical(principal.subscribe);
  if (grants.length > 0) return { ...interest, grants };
  return principal === "anonymous" ? interest : { ...interest, hasToken: true };
}

/** Continues at once, or when the operation is complete unless its connection is gone by then: nothing may be opened on it. */
function continueWith<T>(
  server: ServerDelivery,
  { id }: HttpRequest,
  operation: T | Promise<T>,
  next: (result: T) => RouteResult | Promise<RouteResult>,
): RouteResult | Promise<RouteResult> {
  if (!(operation instanceof Promise)) return next(operation);
  return server.continueAfter(id, operation, next);
}

/** 413 is about content, and a GET has none (RFC 9110 section 15.5.14): limits of parameters are 400. */
function subscribeError(error: unknown): Response {
  const response = errorResponse(error);
  return response.code === "too_large" ? { ...response, status: 400 } : response;
}

const isPrivate = (request: HttpRequest, principal: Principal): boolean =>
  principal !== "anonymous" && hasTokenInQuery(request.query);
