/** The HTTP application: the table of routes, and the settings that a reload changes. */

import { documented, headDocs, type OperationDocs } from "../api-docs/operation.js";
import type { Config } from "../config/schema.js";
import type { History } from "../delivery/history.js";
import { type M2pushError, tooManyRequests } from "../errors.js";
import type { Hub } from "../hub/hub.js";
import type { KnownToken } from "../hub/revocations.js";
import type { TopicRules } from "../matching/topic-rules.js";
import { positionId, presenceId } from "../protocol/position.js";
import type { HttpRequest } from "../protocol/request.js";
import type { Publisher } from "../publishing/publisher.js";
import type { Remover } from "../publishing/remover.js";
import { AddressSet } from "../util/address-set.js";
import type { Clock } from "../util/clock.js";
import type { Conditions } from "../util/conditions.js";
import { SlicedWork } from "../util/sliced-work.js";
import { Access } from "./access.js";
import { type FetchJwks, fetchJwks } from "./auth/fetch-jwks.js";
import { hasTokenInQuery } from "./auth/find-token.js";
import { Issuers, type PreparedIssuers } from "./auth/issuers.js";
import type { KeptJwks } from "./auth/jwks-source.js";
import type { TrustedIssuer } from "./auth/trusted-issuer.js";
import { createVerifiers } from "./auth/verifiers.js";
import { CompileQueue } from "./compile-queue.js";
import { type CorsHeaders, corsHeaders, preflightHeaders } from "./cors.js";
import {
  CHANGE_TOPICS_DOCS,
  METADATA_DOCS,
  PUBLISH_DOCS,
  QUERY_DOCS,
  REMOVE_DOCS,
  STREAM_DOCS,
  SUBSCRIBE_DOCS,
  subscriptionsDocs,
} from "./docs/hub-docs.js";
import { httpDate } from "./http-date.js";
import { LargeBodyQueue } from "./large-body-queue.js";
import { Dialects } from "./mercure/dialects.js";
import type { Presence } from "./mercure/presence.js";
import type { DocumentedRoute, RouteMethod, RouteTemplate } from "./route-table.js";
import { metadataPath, metadataResponse } from "./routes/metadata.js";
import { type PublishDeps, PublishRoute } from "./routes/publish.js";
import { RemoveRoute } from "./routes/remove.js";
import { ACCEPT_PATCH, StreamsRoute } from "./routes/streams.js";
import { SubscribeRoute } from "./routes/subscribe.js";
import { SubscriptionsRoute } from "./routes/subscriptions.js";
import type { HttpSettings, LiveSettings } from "./settings.js";
import { hubRequests, streamRequests } from "./subscribe-request.js";
import { type RemoteStreams, TopicChanges } from "./topic-changes.js";
import { VisitorAddress } from "./visitor/visitor-address.js";

export interface AppDeps {
  readonly hub: Hub;
  readonly history: Pick<History, "epoch" | "last">;
  readonly presence: Presence;
  readonly publisher: Publisher;
  readonly remover: Remover;
  readonly clock: Clock;
  /** Absent = no topic has rules. */
  readonly rules?: TopicRules;
  /** The other daemons of the cluster; absent = there are none. */
  readonly remoteStreams?: RemoteStreams | undefined;
  /** Called for each publication that is rejected; absent = it is not observed. */
  readonly rejected?: (error: M2pushError) => void;
  /** Called with warnings about keys, which never contain a key. */
  readonly warn: (warning: string) => void;
  /** Whether a token was revoked; absent = none was. */
  readonly isRevoked?: (token: KnownToken) => boolean;
  /** Where issuers whose keys cannot be read are reported; absent = nowhere. */
  readonly conditions?: Conditions;
  /** Where the keys of issuers are kept for the next process; absent = nowhere. */
  readonly keptJwks?: KeptJwks;
  /** See PublishDeps. */
  readonly traces?: PublishDeps["traces"];
  /** Reads the keys of an issuer; absent = over HTTP. */
  readonly fetchJwks?: FetchJwks;
  /** A number from 0 up to 1; absent = Math.random. */
  readonly random?: () => number;
}

/** The hub's URL. */
export const hubUrl = ({ hub: { origin, path } }: Config): string => origin + path;

export class App {
  /** By exact path, or by the beginning of a path; each method with its documentation. */
  readonly routes: ReadonlyMap<string, DocumentedRoute>;
  readonly #deps: AppDeps;
  readonly #dialects: Dialects;
  readonly #date: () => string;
  readonly #settings: LiveSettings;
  readonly #issuers: Issuers;

  /** Throws "config_invalid" if a key is not usable. */
  constructor(config: Config, deps: AppDeps) {
    this.#deps = deps;
    this.#date = httpDate(deps.clock);
    this.#dialects = new Dialects(config.hub.protocol);
    const { clock, warn, conditions, fetchJwks: fetch = fetchJwks, random = Math.random, keptJwks: kept } = deps;
    const changed = () => void this.#trustKeys();
    this.#issuers = new Issuers({ clock, warn, fetch, random, changed, kept, ...(conditions && { conditions }) });
    const issuers = this.#issuers.prepare(config.issuer);
    this.#settings = { current: this.#settingsOf(config, issuers) };
    void this.#issuers.use(issuers);
    this.#trustKeys();
    this.routes = this.#routes(config);
  }

  /**
   * Applies the settings that may change, and closes the streams whose tokens were signed by a removed key. Throws "config_invalid" if a key
   * is not usable: then nothing has changed.
   */
  reload(config: Config): void {
    const issuers = this.#issuers.prepare(config.issuer);
    this.#settings.current = this.#settingsOf(config, issuers);
    void this.#issuers.use(issuers);
    this.#trustKeys();
  }

  /** Reads the keys of issuers no more. */
  close(): void {
    this.#issuers.close();
  }

  /** Closes the streams of removed keys; none while the keys of an issuer are not known yet, since an earlier process may have known them. */
  #trustKeys(): void {
    const keys = this.#issuers.isLoaded ? this.#settings.current.access.subscriberKeys : undefined;
    const closed = this.#deps.hub.trustKeys(keys);
    if (closed > 0) this.#deps.warn(`closed ${closed} streams whose key was removed`);
  }

  /** Hosts that are served, in lower case and without a port; empty = every host. */
  hosts(): readonly string[] {
    return this.#settings.current.hosts;
  }

  /** The request, with the address of its visitor in the place of a trusted proxy's. */
  withVisitor(request: HttpRequest): HttpRequest {
    const { visitors } = this.#settings.current;
    return visitors ? { ...request, remote: visitors.of(request) } : request;
  }

  /** Headers of every response except streams: the date, and those that let pages of allowed origins read it. */
  commonHeaders(request?: HttpRequest): CorsHeaders {
    const cors = request ? corsHeaders(request, this.#settings.current.corsOrigins) : {};
    const isPrivate = request && this.#dialects.serves("0.x") && hasTokenInQuery(request.query);
    return { Date: this.#date(), ...(isPrivate && { "Cache-Control": "private" }), ...cors };
  }

  /** Long because it is the table of the routes. */
  #routes(config: Config): Map<string, DocumentedRoute> {
    const { hub, clock, presence, publisher, remover, history, rejected = () => {} } = this.#deps;
    const { path } = config.hub;
    const [base, dialects, settings, date] = [hubUrl(config), this.#dialects, this.#settings, this.#date];
    const batchLimits = { maxEvents: config.publish.max_batch, maxBytes: config.publish.max_batch_bytes };
    const queue = new CompileQueue(clock);
    const offersGzip = config.stream.compression !== "off";
    const common = { hub, base, settings, offersGzip, date, now: () => clock.now() };
    const stream = new SubscribeRoute(streamRequests(base, queue), common).handle;
    const subscribe = new SubscribeRoute(hubRequests(base, queue, dialects), common).handle;
    const bodies = new LargeBodyQueue(clock);
    const { traces } = this.#deps;
    const publishDeps = { publisher, batchLimits, base, dialects, settings, rejected, queue: bodies, traces };
    const publish = new PublishRoute(publishDeps).handle;
    const remove = new RemoveRoute({ remover, base, settings, rejected }).handle;
    const work = new SlicedWork(clock, tooManyRequests);
    const lastEventId = () => lastIdOf(history, presence);
    const list = new SubscriptionsRoute({ path, base, dialects, presence, work, lastEventId, settings }).handle;
    const changes = new TopicChanges({ ...common, history, queue, remote: this.#deps.remoteStreams });
    const streams = `${path}/streams/`;
    const change = changes.changeAnywhere.bind(changes);
    const patch = new StreamsRoute({ path: streams, base, settings, change }).handle;
    const name = `${path}/subscriptions`;
    const lists = (docs: OperationDocs) => getAndHead(docs, list);
    const routes = new Map<string, DocumentedRoute>([
      [config.stream.path, this.#route(config.stream.path, getAndHead(STREAM_DOCS, stream))],
      [
        path,
        this.#route(
          path,
          {
            ...getAndHead(SUBSCRIBE_DOCS, subscribe),
            QUERY: documented(QUERY_DOCS, subscribe),
            POST: documented(PUBLISH_DOCS, publish),
            DELETE: documented(REMOVE_DOCS, remove),
          },
          { persists: true },
        ),
      ],
      [
        streams,
        this.#route(
          streams,
          { PATCH: documented(CHANGE_TOPICS_DOCS, patch) },
          { persists: true, templates: [{ path: "{name}" }] },
        ),
      ],
      [name, this.#route(name, lists(subscriptionsDocs("listSubscriptions", [])), { persists: true })],
      [
        `${name}/`,
        this.#route(name, lists(subscriptionsDocs("listSubscriptionsBelow", [])), {
          persists: true,
          templates: subscriptionTemplates(dialects),
        }),
      ],
    ]);
    // Clients recognize a hub that supports 0.x only by the absence of this route.
    if (dialects.serves("draft-08")) {
      const issuers = [config.auth.issuer, ...config.issuer.map(({ issuer = "" }) => issuer)].filter((it) => it !== "");
      const get = metadataResponse({ resource: base, issuers });
      const methods = getAndHead(METADATA_DOCS, get);
      routes.set(metadataPath(path), this.#route(metadataPath(path), methods, { persists: true }));
    }
    return routes;
  }

  #route(
    name: string,
    methods: DocumentedRoute["methods"],
    { persists, templates }: { persists?: true; templates?: readonly RouteTemplate[] } = {},
  ): DocumentedRoute {
    const allowed = `${Object.keys(methods).join(", ")}, OPTIONS`;
    const options = (request: HttpRequest) => ({
      ...preflightHeaders(request, this.#settings.current.corsOrigins, allowed),
      ...(methods.PATCH && ACCEPT_PATCH),
    });
    return { name, methods, options, ...(persists && { optionsPersist: persists }), ...(templates && { templates }) };
  }

  #settingsOf(config: Config, { byIssuer }: PreparedIssuers): HttpSettings {
    const { stream, auth, hub } = config;
    return {
      access: this.#accessOf(config, byIssuer),
      corsOrigins: auth.cors_origins,
      hosts: hub.hosts,
      retryMs: stream.retry,
      heartbeatMs: stream.heartbeat,
      maxClients: stream.max_clients,
      maxPerAddress: stream.max_per_address,
      maxPatternCost: stream.max_pattern_cost,
      maxLifetimeMs: stream.max_lifetime,
      visitors: stream.trusted_proxies.length > 0 ? new VisitorAddress(stream.trusted_proxies) : undefined,
    };
  }

  #accessOf(config: Config, issuers: ReadonlyMap<string, TrustedIssuer>): Access {
    const { auth, hub } = config;
    const { clock, warn, isRevoked = () => false } = this.#deps;
    return new Access({
      ...createVerifiers(config, { clock, warn, issuers, isRevoked, base: hubUrl(config) }),
      isRevoked,
      acceptsV0: this.#dialects.serves("0.x"),
      anonymous: auth.anonymous,
      rules: this.#deps.rules,
      publishFrom: new AddressSet(auth.allow_publish_from),
      origins: [hub.origin, ...auth.cors_origins],
      metadataUrl: this.#dialects.serves("draft-08") ? hub.origin + metadataPath(hub.path) : undefined,
    });
  }
}

const getAndHead = (docs: OperationDocs, method: RouteMethod) => ({
  GET: documented(docs, method),
  HEAD: documented(headDocs(docs), method),
});

/** What is below the path of the active subscriptions, in each dialect that is served. */
function subscriptionTemplates(dialects: Dialects): RouteTemplate[] {
  const template = (id: string, ...names: string[]): RouteTemplate => {
    const docs = subscriptionsDocs(id, names);
    return { path: names.map((it) => `{${it}}`).join("/"), docs: { GET: docs, HEAD: headDocs(docs) } };
  };
  return [
    ...(dialects.serves("0.x") ? [template("listSubscriptionsOfTopic", "topic")] : []),
    template("listSubscriptionsOfTwo", "first", "second"),
    ...(dialects.serves("draft-08") ? [template("getSubscriptionOfMatch", "matchType", "match", "subscriber")] : []),
  ];
}

/** The id of the newest event: of a publication, or of a subscription that began or ended since; "earliest" = there is none. */
function lastIdOf({ epoch, last }: Pick<History, "epoch" | "last">, { log }: Presence): string {
  if (log.last > 0 && log.lastHead === last) return presenceId(epoch, last, log.instance, log.last);
  return last === 0 ? "earliest" : positionId(epoch, last);
}
