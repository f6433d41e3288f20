/**
 * The signature of a token (JWS, RFC 7515), and what it signs. The header only picks among the keys that are configured: keys
 * that it brings along or points at (jwk, jku, x5c, x5u) are not looked at, and extensions (crit) are not understood.
 */
import { compactVerify, decodeProtectedHeader } from "jose";
import { isObject, type JsonObject } from "./claims.js";
import { displayValue, tokenError } from "./refusal.js";
import type { VerificationKey } from "./verification-key.js";

export interface SignedToken {
  readonly header: JsonObject;
  readonly claims: JsonObject;
  /** Of the key that has signed it. */
  readonly fingerprint: string;
}

/** The longest token, in characters; as the Mercure reference hub. Mongrel2's limits.buffer_size is usually less. */
const MAX_TOKEN = 65_536;

/** Resolves with what a key of `keys` has signed; rejects with "unauthenticated" for every other text. */
export async function verifySignature(token: string, keys: readonly VerificationKey[]): Promise<SignedToken> {
  if (token.length > MAX_TOKEN) throw tokenError(`it has ${token.length} characters, at most ${MAX_TOKEN} are taken`);
  if (!/^[\w-]+\.[\w-]+\.[\w-]+$/.test(token)) throw tokenError("it is no signed JWT");
  const header = readHeader(token);
  if (Object.hasOwn(header, "crit")) throw tokenError("it needs an extension (crit), and none is understood");
  for (const key of candidates(header, keys)) {
    const payload = await verifyWith(key, token);
    if (payload !== undefined) return { header, claims: readClaims(payload), fingerprint: key.fingerprint };
  }
  throw tokenError("its signature is not by a key that is configured");
}

function readHeader(token: string): JsonObject {
  try {
    return { ...decodeProtectedHeader(token) };
  } catch (cause) {
    throw tokenError("its header cannot be read", cause);
  }
}

/** At least one key. A key without an id may be meant by any kid: nothing is known of its name. */
function candidates({ alg, kid }: JsonObject, keys: readonly VerificationKey[]): readonly VerificationKey[] {
  if (keys.length === 0) throw tokenError("no key is configured");
  const fitting = keys.filter(({ algorithm }) => algorithm === alg);
  if (fitting.length === 0) throw tokenError(`no key is configured for its alg, ${displayValue(alg)}`);
  const named = fitting.filter(({ id }) => kid === undefined || id === undefined || id === kid);
  if (named.length === 0) throw tokenError(`no key is configured by its kid, ${displayValue(kid)}`);
  return named;
}

/** What the key has signed, or undefined. */
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
    throw tokenError("its claims are no JSON", cause);
  }
  throw tokenError("its claims are no JSON object");
}
