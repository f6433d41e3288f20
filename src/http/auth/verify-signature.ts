/**
 * Verifies the signature of a token (JWS, RFC 7515). The header only selects among the configured keys: keys that it contains or refers to
 * (jwk, jku, x5c, x5u) are ignored, and extensions (crit) are not supported.
 */
import { compactVerify, decodeJwt, decodeProtectedHeader } from "jose";
import { isObject, type JsonObject } from "./claims.js";
import { displayValue, tokenError } from "./token-refusal.js";
import type { VerificationKey } from "./verification-key.js";

export interface SignedToken {
  readonly header: JsonObject;
  readonly claims: JsonObject;
  /** Of the key that signed it. */
  readonly fingerprint: string;
}

/** As in the Mercure reference hub. Mongrel2's limits.buffer_size is usually smaller. */
const MAX_TOKEN_CHARACTERS = 65_536;

/** Resolves with the content that one of `keys` signed; rejects with "unauthenticated" for every other text. */
export async function verifySignature(token: string, keys: readonly VerificationKey[]): Promise<SignedToken> {
  if (token.length > MAX_TOKEN_CHARACTERS)
    throw tokenError(`the token has ${token.length} characters, at most ${MAX_TOKEN_CHARACTERS} are accepted`);
  if (!/^[\w-]+\.[\w-]+\.[\w-]+$/.test(token)) throw tokenError("the token is not a signed JWT");
  const header = readHeader(token);
  if (Object.hasOwn(header, "crit")) throw tokenError("the token needs an extension (crit), and none is supported");
  for (const key of candidates(header, keys)) {
    const payload = await verifyWith(key, token);
    if (payload !== undefined) return { header, claims: readClaims(payload), fingerprint: key.fingerprint };
  }
  throw tokenError("the signature is not from a configured key");
}

/** Whether one of the keys can have signed the token, by its header. True for a malformed token, which no further key makes valid. */
export function hasCandidate(token: string, keys: readonly VerificationKey[]): boolean {
  try {
    const { alg, kid } = decodeProtectedHeader(token);
    return keys.some(({ algorithm, id }) => algorithm === alg && (kid === undefined || id === undefined || id === kid));
  } catch {
    return true;
  }
}

/** The `iss` of a token, unverified: it only selects the keys that must have signed it. */
export function claimedIssuer(token: string): string | undefined {
  if (token.length > MAX_TOKEN_CHARACTERS) return undefined;
  try {
    const { iss } = decodeJwt(token);
    return typeof iss === "string" ? iss : undefined;
  } catch {
    return undefined;
  }
}

function readHeader(token: string): JsonObject {
  try {
    return { ...decodeProtectedHeader(token) };
  } catch (cause) {
    throw tokenError("the header is not valid JSON", cause);
  }
}

/** At least one key. A key without an id is a candidate for every kid. */
function candidates({ alg, kid }: JsonObject, keys: readonly VerificationKey[]): readonly VerificationKey[] {
  if (keys.length === 0) throw tokenError("no key is configured");
  const fitting = keys.filter(({ algorithm }) => algorithm === alg);
  if (fitting.length === 0) throw tokenError(`no key is configured for the alg ${displayValue(alg)}`);
  const named = fitting.filter(({ id }) => kid === undefined || id === undefined || id === kid);
  if (named.length === 0) throw tokenError(`no key is configured with the kid ${displayValue(kid)}`);
  return named;
}

/** The signed content, or undefined if this key did not sign it. */
async function verifyWith({ key, algorithm }: VerificationKey, token: string): Promise<Uint8Array | undefined> {
  try {
    const { payload } = await compactVerify(token, key, { algorithms: [algorithm] });
    return payload;
  } catch {
    return undefined;
  }
}

const utf8 = new TextDecoder("utf-8", { fatal: true });

function readClaims(payload: Uint8Array): JsonObject {
  try {
    const claims: unknown = JSON.parse(utf8.decode(payload));
    if (isObject(claims)) return claims;
  } catch (cause) {
    throw tokenError("the claims are not JSON", cause);
  }
  throw tokenError("the claims are not a JSON object");
}
