/**
 * Converts tokens into grants, for one role: publishers and subscribers have separate keys and thus a verifier each. The form of a token
 * selects the rules: an access token is read by those of draft-08, one with a `mercure` claim by those of 0.x; any other token is
 * refused, however well it is signed, since it was issued for another audience.
 *
 * A publisher sends the same token with each update. Valid tokens are cached by their hash until they expire: a check takes 2 us instead
 * of 150 to 220 us of CPU time (HS256, RS256, ES256 and EdDSA alike), which would take a whole core at 5,000 updates a second.
 * Refused tokens are not cached: a client that sends random tokens must not evict valid ones. A reload creates another verifier.
 */
import { createHash } from "node:crypto";
import { M2pushError } from "../../errors.js";
import { tokenIdsOf } from "../../hub/token-id.js";
import type { Clock } from "../../util/clock.js";
import { GenerationCache } from "../../util/generation-cache.js";
import { checkTimes, type JsonObject } from "./claims.js";
import { hasRightsV0, readRightsV0 } from "./claims-v0.js";
import {
  checkAccessToken,
  checkAudience,
  checkIssuer,
  isAccessToken,
  readRightsV8,
  type TokenAuthority,
} from "./claims-v8.js";
import type { TokenSource } from "./find-token.js";
import { type DialectName, type Grants, joinGrants, type ParseSelector } from "./grants.js";
import { displayValue, refuseToken, TOKEN_REVOKED, type TokenRefusal, tokenError } from "./token-refusal.js";
import type { TrustedIssuer } from "./trusted-issuer.js";
import type { VerificationKey } from "./verification-key.js";
import { claimedIssuer, hasCandidate, type SignedToken, verifySignature } from "./verify-signature.js";

export type VerifiedToken<S> = { readonly ok: true; readonly grants: Grants<S> } | TokenRefusal;

export interface VerifierOptions<S> {
  /** For tokens of no issuer below. Empty: they are refused. */
  readonly keys: readonly VerificationKey[];
  /** By `iss`: their tokens are verified with their own keys only. Absent = none. */
  readonly issuers?: ReadonlyMap<string, TrustedIssuer>;
  /** Creates the parser for the selectors of one token, whose total work is bounded. */
  readonly newParser: () => ParseSelector<S>;
  readonly clock: Clock;
  /** Undefined: access tokens (draft-08) are refused. */
  readonly authority: TokenAuthority | undefined;
  /** Whether tokens of Mercure 0.x are accepted. */
  readonly acceptsV0: boolean;
  /** Whether a token was revoked; absent = none was. */
  readonly isRevoked?: (token: Pick<Grants<S>, "tokenIds" | "issuedAt">) => boolean;
  /** How far an issuer's clock may differ from the daemon's, milliseconds. */
  readonly leewayMs: number;
  /** The `iss` that tokens of Mercure 0.x must have; undefined = any or none. */
  readonly issuerV0: string | undefined;
}

const MS_PER_SECOND = 1000;
/** Valid tokens that are cached. */
const MAX_CACHED_TOKEN_COUNT = 1_000;

export class Verifier<S> {
  readonly #options: VerifierOptions<S>;
  /** By the hash of the token: tokens themselves are not stored. */
  readonly #valid = new GenerationCache<Grants<S>>(MAX_CACHED_TOKEN_COUNT);
  /** Checks in progress: a token that arrives many times at once is checked once, and its requests keep their order. */
  readonly #running = new Map<string, Promise<VerifiedToken<S>>>();

  constructor(options: VerifierOptions<S>) {
    this.#options = options;
  }

  /** Fingerprints of the keys whose tokens are valid. */
  get keyFingerprints(): ReadonlySet<string> {
    const { keys, issuers = NO_ISSUERS } = this.#options;
    const all = [...keys, ...[...issuers.values()].flatMap((issuer) => issuer.keys)];
    return new Set(all.map(({ fingerprint }) => fingerprint));
  }

  /** Joins the grants of the valid tokens; if none is valid, refuses for the fault of the first. */
  async verifyAny([first, ...others]: readonly [string, ...string[]], source: TokenSource): Promise<VerifiedToken<S>> {
    let verified = await this.verify(first, source);
    for (const token of others) {
      const other = await this.verify(token, source);
      if (other.ok) verified = verified.ok ? { ok: true, grants: joinGrants(verified.grants, [other.grants]) } : other;
    }
    return verified;
  }

  /** Resolves for any text. `source`: draft-08 forbids tokens in addresses, 0.x does not. */
  async verify(token: string, source: TokenSource = "header"): Promise<VerifiedToken<S>> {
    const verified = await this.#lookUp(token);
    if (verified.ok && this.#options.isRevoked?.(verified.grants)) return TOKEN_REVOKED;
    if (verified.ok && verified.grants.dialect === "draft-08" && source === "query") {
      return refuseToken("invalid_token", "an access token in the query");
    }
    return verified;
  }

  #lookUp(token: string): Promise<VerifiedToken<S>> | VerifiedToken<S> {
    const hash = createHash("sha256").update(token).digest("base64");
    const grants = this.#valid.get(hash);
    if (grants && !this.#hasExpired(grants) && this.#isTrusted(grants)) return { ok: true, grants };
    const running = this.#running.get(hash) ?? this.#check(token, hash);
    this.#running.set(hash, running);
    return running;
  }

  #hasExpired({ expiresAt }: Grants<S>): boolean {
    return expiresAt !== undefined && expiresAt <= this.#options.clock.now();
  }

  /** The keys of an issuer change while the verifier exists. */
  #isTrusted({ issuer: name = "", keyFingerprints }: Grants<S>): boolean {
    const issuer = this.#options.issuers?.get(name);
    return issuer?.keys.every(({ fingerprint }) => !keyFingerprints.includes(fingerprint)) !== true;
  }

  async #check(token: string, hash: string): Promise<VerifiedToken<S>> {
    try {
      const issuer = this.#issuerOf(token);
      const grants = this.#read(await this.#verifySignature(token, issuer), issuer);
      this.#valid.set(hash, grants);
      return { ok: true, grants };
    } catch (error) {
      if (error instanceof M2pushError) return refuseToken("invalid_token", error.message);
      throw error;
    } finally {
      this.#running.delete(hash);
    }
  }

  #issuerOf(token: string): TrustedIssuer | undefined {
    const { issuers = NO_ISSUERS } = this.#options;
    const name = issuers.size === 0 ? undefined : claimedIssuer(token);
    return name === undefined ? undefined : issuers.get(name);
  }

  /** Waits for the keys of an issuer only where none of the known ones can have signed the token. */
  async #verifySignature(token: string, issuer: TrustedIssuer | undefined): Promise<SignedToken> {
    if (issuer && !hasCandidate(token, issuer.keys)) await issuer.refresh();
    return verifySignature(token, issuer?.keys ?? this.#options.keys);
  }

  #read({ header, claims, fingerprint }: SignedToken, issuer: TrustedIssuer | undefined): Grants<S> {
    const { newParser, clock, acceptsV0, leewayMs } = this.#options;
    const dialect = dialectOf(header, claims);
    if (dialect === "0.x" && !acceptsV0) throw tokenError("tokens of Mercure 0.x are disabled");
    if (dialect === "draft-08") checkAccessToken(header, claims, this.#authorityOf(claims, issuer));
    else this.#checkTokenV0(claims, issuer);
    const expiresAt = checkTimes(claims, clock.now(), { requiresExp: dialect === "draft-08", leewayMs });
    const parse = newParser();
    const rights = dialect === "draft-08" ? readRightsV8(claims, parse) : readRightsV0(claims, parse);
    const [subject, issuerName] = [claims.sub, claims.iss].map((it) => (typeof it === "string" ? it : undefined));
    const { iat } = claims;
    const revocable = {
      tokenIds: tokenIdsOf(claims),
      issuedAt: typeof iat === "number" ? iat * MS_PER_SECOND : undefined,
    };
    return { dialect, ...rights, expiresAt, keyFingerprints: [fingerprint], ...revocable, subject, issuer: issuerName };
  }

  /** The draft requires that a hub accepts access tokens of configured issuers only. */
  #authorityOf({ iss }: JsonObject, issuer: TrustedIssuer | undefined): TokenAuthority | undefined {
    const { authority, issuers = NO_ISSUERS } = this.#options;
    if (authority === undefined) return undefined;
    if (issuer) {
      const { audiences } = issuer;
      return { issuer: issuer.issuer, audiences: audiences.length > 0 ? audiences : authority.audiences };
    }
    if (issuers.size > 0 && authority.issuer === undefined)
      throw tokenError(`the iss is ${displayValue(iss)}, which no [[issuer]] has`);
    return authority;
  }

  #checkTokenV0(claims: JsonObject, issuer: TrustedIssuer | undefined): void {
    if (!issuer) checkIssuer(claims, this.#options.issuerV0);
    else if (issuer.audiences.length > 0) checkAudience(claims, issuer.audiences);
  }
}

const NO_ISSUERS: ReadonlyMap<string, TrustedIssuer> = new Map();

function dialectOf(header: JsonObject, claims: JsonObject): DialectName {
  if (isAccessToken(header, claims)) return "draft-08";
  if (hasRightsV0(claims)) return "0.x";
  throw tokenError("neither an access token (at+jwt) nor a token with a mercure claim");
}
