/**
 * Tokens to grants, for one role: publishers and subscribers have keys of their own, hence a verifier each. What a token is
 * decides by which rules it is read: an access token by draft-08's, one with a `mercure` claim by 0.x's, anything else by none,
 * however well it is signed: it was made for somebody else.
 *
 * A publisher sends the same token with each update. Tokens that were good are remembered, by a hash, until they expire: a
 * check takes 2 us instead of 150 to 220 us of processor time (HS256, RS256, ES256 and EdDSA alike), which 5,000 updates a
 * second would fill a core with. Those that were refused are not remembered: whoever sends ever new ones must not push out the
 * good ones. Other keys, another verifier: nothing outlives a reload.
 */
import { createHash } from "node:crypto";
import { M2pushError } from "../../errors.js";
import type { Clock } from "../../util/clock.js";
import { GenerationCache } from "../../util/generation-cache.js";
import type { TokenSource } from "./carrier.js";
import { checkTimes, type JsonObject } from "./claims.js";
import { hasRightsV0, readRightsV0 } from "./claims-v0.js";
import { checkAccessToken, checkIssuer, isAccessToken, readRightsV8, type TokenAuthority } from "./claims-v8.js";
import { type DialectName, type Grants, joinGrants, type ParseSelector } from "./grants.js";
import { type Refusal, refusal, tokenError } from "./refusal.js";
import { type SignedToken, verifySignature } from "./signature.js";
import type { VerificationKey } from "./verification-key.js";

export type Verified<S> = { readonly ok: true; readonly grants: Grants<S> } | Refusal;

export interface VerifierOptions<S> {
  /** From loadKeys(). Empty: every token is refused. */
  readonly keys: readonly VerificationKey[];
  /** Makes the parser for the selectors of one token: what all of them cost is bounded. */
  readonly parser: () => ParseSelector<S>;
  readonly clock: Clock;
  /** Undefined: access tokens (draft-08) are refused, since nobody is trusted to issue them. */
  readonly authority: TokenAuthority | undefined;
  /** Whether tokens of Mercure 0.x are accepted. */
  readonly legacy: boolean;
  /** How far the clocks of those who issue tokens may be from ours, milliseconds. */
  readonly leeway: number;
  /** The iss that tokens of Mercure 0.x must have; undefined = any or none: they are older than that rule. */
  readonly legacyIssuer: string | undefined;
}

/** How many good tokens are remembered. */
const REMEMBERED = 1_000;

export class Verifier<S> {
  readonly #options: VerifierOptions<S>;
  /** By the token's hash: a token itself is kept nowhere. */
  readonly #good = new GenerationCache<Grants<S>>(REMEMBERED);
  /** Checks that are under way: a token that comes many times at once is checked once, and its requests keep their order. */
  readonly #running = new Map<string, Promise<Verified<S>>>();

  constructor(options: VerifierOptions<S>) {
    this.#options = options;
  }

  /** Of the keys whose tokens are good. */
  get keyFingerprints(): ReadonlySet<string> {
    return new Set(this.#options.keys.map(({ fingerprint }) => fingerprint));
  }

  /** What those of several tokens that are good allow together; where none is, what is wrong with the first. */
  async verifyAny([first, ...others]: readonly [string, ...string[]], carrier: TokenSource): Promise<Verified<S>> {
    let verified = await this.verify(first, carrier);
    for (const token of others) {
      const other = await this.verify(token, carrier);
      if (other.ok) verified = verified.ok ? { ok: true, grants: joinGrants(verified.grants, [other.grants]) } : other;
    }
    return verified;
  }

  /** Whatever text the token is, the promise resolves. `carrier`: draft-08 forbids tokens in addresses, 0.x does not. */
  async verify(token: string, carrier: TokenSource = "header"): Promise<Verified<S>> {
    const verified = await this.#look(token);
    if (verified.ok && verified.grants.dialect === "draft-08" && carrier === "query") {
      return refusal("invalid_token", "it is an access token and came in the query");
    }
    return verified;
  }

  #look(token: string): Promise<Verified<S>> | Verified<S> {
    const hash = createHash("sha256").update(token).digest("base64");
    const grants = this.#good.get(hash);
    if (grants && !this.#hasExpired(grants)) return { ok: true, grants };
    const running = this.#running.get(hash) ?? this.#check(token, hash);
    this.#running.set(hash, running);
    return running;
  }

  #hasExpired({ expiresAt }: Grants<S>): boolean {
    return expiresAt !== undefined && expiresAt <= this.#options.clock.now();
  }

  async #check(token: string, hash: string): Promise<Verified<S>> {
    try {
      const grants = this.#read(await verifySignature(token, this.#options.keys));
      this.#good.set(hash, grants);
      return { ok: true, grants };
    } catch (error) {
      if (error instanceof M2pushError) return refusal("invalid_token", error.message);
      throw error;
    } finally {
      this.#running.delete(hash);
    }
  }

  #read({ header, claims, fingerprint }: SignedToken): Grants<S> {
    const { parser, clock, authority, legacy, legacyIssuer, leeway } = this.#options;
    const dialect = dialectOf(header, claims);
    if (dialect === "0.x" && !legacy) throw tokenError("it is a token of Mercure 0.x, which is turned off");
    if (dialect === "draft-08") checkAccessToken(header, claims, authority);
    else checkIssuer(claims, legacyIssuer);
    const expiresAt = checkTimes(claims, clock.now(), { needed: dialect === "draft-08", leeway });
    const parse = parser();
    const rights = dialect === "draft-08" ? readRightsV8(claims, parse) : readRightsV0(claims, parse);
    const subject = typeof claims.sub === "string" ? claims.sub : undefined;
    return { dialect, ...rights, expiresAt, keyFingerprints: [fingerprint], subject };
  }
}

function dialectOf(header: JsonObject, claims: JsonObject): DialectName {
  if (isAccessToken(header, claims)) return "draft-08";
  if (hasRightsV0(claims)) return "0.x";
  throw tokenError("it is neither an access token (at+jwt) nor has it a mercure claim");
}
