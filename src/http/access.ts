/**
 * Who asks, and what they may: the token of a request, checked, or nobody in particular. What is wrong with a token is told
 * to the log; the client learns a status and a challenge (RFC 6750 section 3).
 */

import type { Selector } from "../matching/selector.js";
import type { HttpRequest } from "../protocol/request.js";
import type { AddressSet } from "../util/address-set.js";
import { findToken, type PresentedToken } from "./auth/carrier.js";
import type { Grants } from "./auth/grants.js";
import { refuseCrossSite, refuseForeignPage } from "./auth/origin.js";
import type { Refusal } from "./auth/refusal.js";
import type { Verifier } from "./auth/verifier.js";
import type { Response } from "./response.js";

/** Nobody in particular, or the holder of a good token. */
export type Principal = Grants<Selector> | "anonymous";

type Tokens = Extract<PresentedToken, { kind: "tokens" }>;

export interface AccessOptions {
  readonly publishers: Verifier<Selector>;
  readonly subscribers: Verifier<Selector>;
  /** Tokens in the places of Mercure 0.x count too. */
  readonly legacy: boolean;
  /** Subscribers need no token for public events. */
  readonly anonymous: boolean;
  /** Addresses that need no token to publish. */
  readonly publishFrom: AddressSet;
  /** Whose pages may publish with a cookie, or from an address that needs no token. */
  readonly origins: readonly string[];
  /** Where the hub's metadata can be fetched (RFC 9728); undefined = there is none. */
  readonly metadataUrl: string | undefined;
}

export class Access {
  readonly #options: AccessOptions;

  constructor(options: AccessOptions) {
    this.#options = options;
  }

  /** Of the keys that subscribers' tokens may be signed by. */
  get subscriberKeys(): ReadonlySet<string> {
    return this.#options.subscribers.keyFingerprints;
  }

  /** The subscriber, or why it is turned away. At once where no token has to be checked. */
  subscriber(request: HttpRequest): Principal | Response | Promise<Principal | Response> {
    const { subscribers, anonymous, legacy } = this.#options;
    const found = findToken(request, { legacy });
    if (found.kind === "malformed") return this.refused(found.refusal);
    if (found.kind === "none") return anonymous ? "anonymous" : this.unknown("no token");
    return this.#verified(subscribers, found);
  }

  /** Whoever reads about subscriptions needs a token, whatever is public. */
  async reader(request: HttpRequest): Promise<Grants<Selector> | Response> {
    const asker = await this.subscriber(request);
    return asker === "anonymous" ? this.unknown("no token") : asker;
  }

  async publisher(request: HttpRequest): Promise<Principal | Response> {
    const { publishers, origins, legacy } = this.#options;
    const found = findToken(request, { legacy });
    if (found.kind === "malformed") return this.refused(found.refusal);
    if (found.kind === "none") return this.#publisherByAddress(request);
    const crossSite = found.carrier === "cookie" ? refuseCrossSite(request, origins) : undefined;
    return crossSite ? this.refused(crossSite) : this.#verified(publishers, found);
  }

  /** The browser of a trusted address sends what any page makes it send: only pages of allowed origins count. */
  #publisherByAddress(request: HttpRequest): Principal | Response {
    const { publishFrom, origins } = this.#options;
    if (!publishFrom.has(request.remote)) return this.unknown("no token");
    const crossSite = refuseForeignPage(request, origins);
    return crossSite ? this.refused(crossSite) : "anonymous";
  }

  async #verified(verifier: Verifier<Selector>, { tokens, carrier }: Tokens): Promise<Principal | Response> {
    const verified = await verifier.verifyAny(tokens, carrier);
    return verified.ok ? verified.grants : this.refused(verified);
  }

  /** A token is needed, and none was shown. */
  unknown(why: string): Response {
    return { status: 401, headers: this.#challenge(), body: "a token is needed\n", why };
  }

  /** A token was shown, and it is not good. */
  refused({ code, why }: Refusal): Response {
    const status = code === "invalid_request" ? 400 : 401;
    return { status, headers: this.#challenge(code), body: `${code.replace("_", " ")}\n`, why };
  }

  /** The token is good, and not for this. */
  insufficient(why: string): Response {
    return {
      status: 403,
      headers: this.#challenge("insufficient_scope"),
      body: "the token does not allow this\n",
      why,
    };
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

/** Whether a request was turned away. */
export const isResponse = (it: Principal | Response): it is Response => typeof it === "object" && "status" in it;
