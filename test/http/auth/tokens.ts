/** Tokens for tests, signed with jose, and a verifier for them whose clock stands still at NOW. */
import assert from "node:assert/strict";
import { createHmac, generateKeyPairSync, type KeyObject } from "node:crypto";
import { type JWTHeaderParameters, SignJWT } from "jose";
import type { Grants, ParseSelector } from "../../../src/http/auth/grants.js";
import { publicKey, secretKey, type VerificationKey } from "../../../src/http/auth/verification-key.js";
import { type VerifiedToken, Verifier, type VerifierOptions } from "../../../src/http/auth/verifier.js";
import { FakeClock } from "../../support/clock.js";

/** Milliseconds since 1970. */
export const NOW = Date.UTC(2026, 0, 1);
/** The same in seconds, as claims have it. */
export const SECONDS = NOW / 1000;

export const SECRET = Buffer.from("!ChangeThisMercureHubJWTSecretKey!");
export const RSA = generateKeyPairSync("rsa", { modulusLength: 2048 });
export const EC = generateKeyPairSync("ec", { namedCurve: "P-256" });
export const ED = generateKeyPairSync("ed25519");

export const AUTHORITY = { issuer: "https://localhost", audiences: ["https://localhost/.well-known/mercure"] };
export const DETAIL_TYPE = "https://mercure.rocks/authorization-detail";

/** Selectors stay texts; those that begin with "bad" are refused as the real parser refuses. */
export const parse: ParseSelector<string> = (kind, value) => {
  if (value.startsWith("bad")) throw new Error("a bad selector");
  return value === "*" ? "*" : `${kind} ${value}`;
};

export interface Setting extends Partial<VerifierOptions<string>> {
  readonly clock?: FakeClock;
}

export function verifier(setting: Setting = {}): Verifier<string> {
  const defaults = {
    keys: [secretKey(SECRET)],
    newParser: () => parse,
    clock: new FakeClock(NOW),
    authority: AUTHORITY,
    acceptsV0: true,
    issuerV0: undefined,
    leewayMs: 0,
  };
  return new Verifier({ ...defaults, ...setting });
}

export type Claims = Record<string, unknown>;
export type Header = Omit<Partial<JWTHeaderParameters>, "typ"> & { typ?: unknown };

/** Signs whatever claims and header a test asks for. */
export function sign(claims: Claims, header: Header = {}, key: KeyObject | Uint8Array = SECRET): Promise<string> {
  const full = { alg: "HS256", ...header } as JWTHeaderParameters;
  return new SignJWT(claims).setProtectedHeader(full).sign(key);
}

/** Signs with HS256 by hand, for what jose would not write. */
export function signRaw(header: string, payload: string | Buffer, secret: Uint8Array = SECRET): string {
  const input = `${Buffer.from(header).toString("base64url")}.${Buffer.from(payload).toString("base64url")}`;
  return `${input}.${createHmac("sha256", secret).update(input).digest("base64url")}`;
}

export const detail = (changes: Claims = {}): Claims => ({
  type: DETAIL_TYPE,
  actions: ["publish", "subscribe"],
  topics: [{ match: "*" }],
  ...changes,
});

/** The claims of the official conformance token: neither sub, client_id, iat nor jti. */
export const access = (changes: Claims = {}): Claims => ({
  exp: SECONDS + 3600,
  iss: AUTHORITY.issuer,
  aud: AUTHORITY.audiences[0],
  authorization_details: [detail()],
  ...changes,
});

/** The same without some of its claims. */
export function without(claims: Claims, ...names: string[]): Claims {
  return Object.fromEntries(Object.entries(claims).filter(([name]) => !names.includes(name)));
}

export const signAccess = (changes: Claims = {}, header: Header = {}, key: KeyObject | Uint8Array = SECRET) =>
  sign(access(changes), { typ: "at+jwt", ...header }, key);

export const KEYS = {
  hs: secretKey(SECRET),
  rsa: publicKey(RSA.publicKey),
  ec: publicKey(EC.publicKey),
  ed: publicKey(ED.publicKey),
} satisfies Record<string, VerificationKey>;

export function granted(verified: VerifiedToken<string>): Grants<string> {
  assert.ok(verified.ok, verified.ok ? "" : verified.reason);
  return verified.grants;
}

/** Asserts the refusal, and that its reason, for the log, is the one that is meant. */
export function refused(verified: VerifiedToken<string>, why: RegExp): void {
  assert.ok(!verified.ok, "the token was accepted");
  assert.equal(verified.code, "invalid_token");
  assert.match(verified.reason, why);
}
