/**
 * Authorizes requests: finds the token, verifies it and returns the principal, or the response that rejects the request. The fault of a
 * token is logged; the client learns a status and a challenge (RFC 6750 section 3).
 */

import type { KnownToken } from "../hub/revocations.js";
import type { Selector } from "../matching/selector.js";
import type { TopicRules } from "../matching/topic-rules.js";
import type { HttpRequest } from "../protocol/request.js";
import type { AddressSet } from "../util/address-set.js";
import { refuseCrossSite, refuseForeignPage } from "./auth/cross-site.js";
import { findToken, type PresentedToken } from "./auth/find-token.js";
import type { Grants } from "./auth/grants.js";
import type { TokenRefusal } from "./auth/token-refusal.js";
import type { Verifier } from "./auth/verifier.js";
import { rejection } from "./error-response.js";
import type { Response } from "./response.js";

/** The holder of a valid token, or a client without one where none is needed. */
export type Principal = Grants<Selector> | "anonymous";

type PresentedTokens = Extract<PresentedToken, { kind: "tokens" }>;

export interface AccessOptions {
  /** Whether a token was revoked; absent = none was. */
  readonly isRevoked?: (token: KnownToken) => boolean;
  readonly publishers: Verifier<Selector>;
  readonly subscribers: Verifier<Selector>;
  /** Tokens are also found in the places of Mercure 0.x. */
  readonly acceptsV0: boolean;
  /** Subscribers need no token for public events. */
  readonly anonymous: boolean;
  /** Addresses that need no token to publish. */
  readonly publishFrom: AddressSet;
  /** Absent = no topic has rules. */
  readonly rules?: Pick<TopicRules, "needsToken"> | undefined;
  /** Origins whose pages may publish with a cookie, or from an address that needs no token. */
  readonly origins: readonly string[];
  /** The URL of the hub's metadata (RFC 9728); undefined = none. */
  readonly metadataUrl: string | undefined;
}

export class Access {
  readonly #options: AccessOptions;

  constructor(options: AccessOptions) {
    this.#options = options;
  }

  /** Fingerprints of the keys that may sign the tokens of subscribers. */
  get subscriberKeys(): ReadonlySet<string> {
    return this.#options.subscribers.keyFingerprints;
  }

  isRevoked(token: KnownToken): boolean {
    return this.#options.isRevoked?.(token) === true;
  }

  /** Authorizes a subscriber. Synchronous if no token must be verified. */
  subscriber(request: HttpRequest): Principal | Response | Promise<Principal | Response> {
    const { subscribers, anonymous, acceptsV0 } = this.#options;
    const presented = findToken(request, { acceptsV0 });
    if (presented.kind === "malformed") return this.invalidToken(presented.refusal);
    if (presented.kind === "none") return anonymous ? "anonymous" : this.unauthenticated("no token");
    return this.#verify(subscribers, presented);
  }

  /** Rejects a subscriber without a token who names a topic that needs one; undefined = it may subscribe. */
  refuseAnonymous(selectors: readonly Selector[], principal: Principal): Response | undefined {
    if (principal !== "anonymous" || !this.needToken(selectors)) return undefined;
    return this.unauthenticated("a topic that needs a token");
  }

  /** Whether selectors name a topic that needs a token. */
  needToken(selectors: readonly Selector[]): boolean {
    const { rules } = this.#options;
    return rules !== undefined && selectors.some((it) => it.kind === "exact" && rules.needsToken([it.value]));
  }

  /** Authorizes a reader of active subscriptions, who always needs a token. */
  async reader(request: HttpRequest): Promise<Grants<Selector> | Response> {
    const principal = await this.subscriber(request);
    return principal === "anonymous" ? this.unauthenticated("no token") : principal;
  }

  async publisher(request: HttpRequest): Promise<Principal | Response> {
    const { publishers, origins, acceptsV0 } = this.#options;
    const presented = findToken(request, { acceptsV0 });
    if (presented.kind === "malformed") return this.invalidToken(presented.refusal);
    if (presented.kind === "none") return this.#publisherByAddress(request);
    const crossSite = presented.source === "cookie" ? refuseCrossSite(request, origins) : undefined;
    return crossSite ? this.invalidToken(crossSite) : this.#verify(publishers, presented);
  }

  /** A browser at a trusted address sends requests of any page: only pages of allowed origins are accepted. */
  #publisherByAddress(request: HttpRequest): Principal | Response {
    const { publishFrom, origins } = this.#options;
    if (!publishFrom.has(request.remote)) return this.unauthenticated("no token");
    const crossSite = refuseForeignPage(request, origins);
    return crossSite ? this.invalidToken(crossSite) : "anonymous";
  }

  async #verify(verifier: Verifier<Selector>, { tokens, source }: PresentedTokens): Promise<Principal | Response> {
    const verified = await verifier.verifyAny(tokens, source);
    return verified.ok ? verified.grants : this.invalidToken(verified);
  }

  /** The request needs a token and has none. */
  unauthenticated(reason: string): Response {
    return rejection("unauthenticated", { headers: this.#challenge(), body: "a token is needed\n", reason });
  }

  /** The request has a token that is not valid. */
  invalidToken({ code, reason }: TokenRefusal): Response {
    const headers = this.#challenge(code);
    const body = `${code.replace("_", " ")}\n`;
    return rejection(code === "invalid_request" ? "invalid" : "unauthenticated", { headers, body, reason });
  }

  /** The token is valid and does not grant this. */
  insufficientScope(reason: string): Response {
    const headers = this.#challenge("insufficient_scope");
    return rejection("forbidden", { headers, body: "the token does not allow this\n", reason });
  }

  #challenge(error?: string): Record<string, string> {
    const { metadataUrl } = this.#options;
    const parameters = [
      ...(error === undefined ? [] : [`error="${error}"`]),
      ...(metadataUrl === undefined ? [] : [`resource_metadata="${metadataUrl}"`]),
    ];
    return { "WWW-Authenticate": `Bearer ${parameters.join(", ")}`.trim() };
  }
}

/** Whether a request was rejected. */
export const isResponse = (it: Principal | Response): it is Response => typeof it === "object" && "status" in it;
