/** What is served over HTTP: every address, and what of it a new configuration changes. */

import type { Config } from "../config/schema.js";
import type { History } from "../delivery/history.js";
import { type M2pushError, tooManyRequests } from "../errors.js";
import type { Hub } from "../hub/hub.js";
import { CompileWork } from "../matching/compile-work.js";
import { parseSelector, type Selector } from "../matching/selector.js";
import { positionId, presenceId } from "../protocol/position.js";
import type { HttpRequest } from "../protocol/request.js";
import { AddressSet } from "../util/address-set.js";
import type { Clock } from "../util/clock.js";
import { SlicedWork } from "../util/sliced-work.js";
import { Access } from "./access.js";
import { hasTokenInQuery } from "./auth/carrier.js";
import { loadKeys } from "./auth/key-set.js";
import { Verifier } from "./auth/verifier.js";
import { CompileQueue } from "./compile-queue.js";
import { type CorsHeaders, corsHeaders } from "./cors.js";
import { httpDate } from "./http-date.js";
import { Dialects } from "./mercure/dialects.js";
import type { Presence } from "./mercure/presence.js";
import { misdirectedResponse } from "./misdirected.js";
import { Publish } from "./publish.js";
import type { Response } from "./response.js";
import type { Route } from "./router.js";
import { hubRoute } from "./routes/hub.js";
import { metadataPath, metadataRoute } from "./routes/metadata.js";
import { streamRoute } from "./routes/stream.js";
import { subscriptionsRoute } from "./routes/subscriptions.js";
import { Subscribe } from "./subscribe.js";

export interface AppParts {
  readonly hub: Hub;
  readonly history: Pick<History, "epoch" | "last">;
  readonly presence: Presence;
  readonly clock: Clock;
  /** Counts publications that are not accepted; absent = nobody does. */
  readonly rejected?: (error: M2pushError) => void;
  /** Told what an operator should know of the keys; never a key. */
  readonly warn: (warning: string) => void;
}

/** The hub's URL. */
export const hubUrl = ({ hub: { origin, path } }: Config): string => origin + path;

export class App {
  readonly routes: ReadonlyMap<string, Route>;
  readonly #parts: AppParts;
  readonly #dialects: Dialects;
  readonly #date: () => string;
  #config: Config;
  #access: Access;

  /** Throws "config_invalid" when a key cannot be used. */
  constructor(config: Config, parts: AppParts) {
    this.#parts = parts;
    this.#date = httpDate(parts.clock);
    this.#dialects = new Dialects(config.hub.protocol);
    this.#config = config;
    this.#access = this.#accessOf(config);
    parts.hub.trustKeys(this.#access.subscriberKeys);
    this.routes = this.#routes(config);
  }

  /**
   * Takes over what may change, and closes the streams whose tokens were signed by a key that is gone. Throws "config_invalid" when a
   * key cannot be used: then nothing has changed.
   */
  reload(config: Config): void {
    this.#access = this.#accessOf(config);
    this.#config = config;
    const closed = this.#parts.hub.trustKeys(this.#access.subscriberKeys);
    if (closed > 0) this.#parts.warn(`auth.subscriber_key: closed ${closed} streams, whose key was removed`);
  }

  /** Headers of every answer but streams: its date, and what lets pages of allowed origins read it; absent = nobody asked in HTTP. */
  readable(request?: HttpRequest): CorsHeaders {
    const cors = request ? corsHeaders(request, this.#config.auth.cors_origins) : {};
    const isPrivate = request && this.#dialects.serves("0.x") && hasTokenInQuery(request.query);
    return { Date: this.#date(), ...(isPrivate && { "Cache-Control": "private" }), ...cors };
  }

  /** The answer to a request for a host that is not served; undefined = it is. */
  misdirected(request: HttpRequest): Response | undefined {
    return misdirectedResponse(request, this.#config.hub.hosts);
  }

  #routes(config: Config): Map<string, Route> {
    const { hub, history, presence, clock } = this.#parts;
    const { path } = config.hub;
    const base = hubUrl(config);
    const dialects = this.#dialects;
    const subscribe = new Subscribe(hub, base, new CompileQueue(clock), {
      settings: () => this.#settings(),
      date: this.#date,
      now: () => clock.now(),
    });
    const publish = new Publish(hub, base, dialects, () => this.#settings(), this.#parts.rejected);
    const corsOrigins = () => this.#config.auth.cors_origins;
    const lastEventId = () => lastIdOf(history, presence);
    const settings = () => this.#settings();
    const work = new SlicedWork(this.#parts.clock, tooManyRequests);
    const subscriptions = subscriptionsRoute({ path, base, dialects, presence, work, lastEventId, settings });
    const issuer = config.auth.issuer || undefined;
    const routes = new Map([
      [config.stream.path, streamRoute(config.stream.path, subscribe, corsOrigins)],
      [path, hubRoute({ path, dialects, subscribe, publish, corsOrigins })],
      [`${path}/subscriptions`, subscriptions],
      [`${path}/subscriptions/`, subscriptions],
    ]);
    // That there is none is how clients know a hub that speaks 0.x only.
    if (dialects.serves("draft-08")) {
      routes.set(metadataPath(path), metadataRoute({ path, resource: base, issuer, corsOrigins }));
    }
    return routes;
  }

  #settings() {
    const { retry, max_clients: maxClients, max_per_address: maxPerAddress } = this.#config.stream;
    const { max_pattern_cost: maxPatternCost, max_lifetime: maxLifetimeMs } = this.#config.stream;
    const { cors_origins: corsOrigins } = this.#config.auth;
    return { access: this.#access, retry, maxClients, maxPerAddress, maxPatternCost, maxLifetimeMs, corsOrigins };
  }

  #accessOf(config: Config): Access {
    const { auth, hub } = config;
    const subscriberKey = auth.subscriber_key === "" ? auth.publisher_key : auth.subscriber_key;
    const legacy = this.#dialects.serves("0.x");
    return new Access({
      publishers: this.#verifier("auth.publisher_key", auth.publisher_key, config),
      subscribers: this.#verifier("auth.subscriber_key", subscriberKey, config),
      legacy,
      anonymous: auth.anonymous,
      publishFrom: new AddressSet(auth.allow_publish_from),
      origins: [hub.origin, ...auth.cors_origins],
      metadataUrl: this.#dialects.serves("draft-08") ? hub.origin + metadataPath(hub.path) : undefined,
    });
  }

  #verifier(name: string, material: string, config: Config): Verifier<Selector> {
    const base = hubUrl(config);
    const { keys, warnings } = loadKeys(name, material);
    for (const warning of warnings) this.#parts.warn(warning);
    const authority = { issuer: config.auth.issuer || undefined, audiences: audiencesOf(base) };
    return new Verifier({
      keys,
      clock: this.#parts.clock,
      parser: () => {
        const work = new CompileWork();
        return (kind, value) => parseSelector(kind, value, base, work);
      },
      authority: this.#dialects.serves("draft-08") ? authority : undefined,
      legacy: this.#dialects.serves("0.x"),
      leeway: config.auth.leeway,
      legacyIssuer: config.auth.issuer || undefined,
    });
  }
}

/** Of the newest event: of a publication, or of a subscription that began or ended since. */
function lastIdOf({ epoch, last }: Pick<History, "epoch" | "last">, { log }: Presence): string {
  if (log.last > 0 && log.lastHead === last) return presenceId(epoch, last, log.instance, log.last);
  return last === 0 ? "earliest" : positionId(epoch, last);
}

/** The hub's URL; on this machine only, by whatever name this machine calls itself. */
function audiencesOf(base: string): string[] {
  const { hostname } = new URL(base);
  const local = ["localhost", "127.0.0.1", "[::1]"];
  return local.includes(hostname) ? local.map((name) => base.replace(hostname, name)) : [base];
}
