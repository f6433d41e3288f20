/** Keys as JSON: a JWK set, or a single JWK (RFC 7517). Public keys, and secrets (`oct`), since the file is the operator's own. */
import { createPublicKey, type JsonWebKey, type KeyObject } from "node:crypto";
import { M2pushError } from "../../errors.js";
import { isObject, type JsonObject } from "./claims.js";
import { publicKey, secretKey, unusable, type VerificationKey } from "./verification-key.js";

export interface Jwks {
  readonly keys: readonly VerificationKey[];
  /** Keys that were left out, and why. Not those for encryption: every set of an authorization server has one. */
  readonly leftOut: readonly string[];
}

/** A token that names no key is tried with each that fits. */
const MAX_KEYS = 100;

/** Throws "config_invalid" when no key of the set can be used, or when one is private. */
export function readJwks(text: string): Jwks {
  const set = readSet(text);
  const secret = set.findIndex((jwk) => isObject(jwk) && jwk.kty !== "oct" && Object.hasOwn(jwk, "d"));
  if (secret >= 0) throw unusable(`expected public keys, got a private one (keys[${secret}] has "d")`);
  const keys: VerificationKey[] = [];
  const leftOut: string[] = [];
  for (const [index, jwk] of set.entries()) {
    const key = readOrWhy(jwk);
    if (typeof key !== "string") keys.push(key);
    else if (!isForEncryption(jwk)) leftOut.push(`keys[${index}] is left out: ${key}`);
  }
  if (keys.length === 0) throw unusable(`expected a key that can be used; ${leftOut.join("; ") || "there is none"}`);
  return { keys, leftOut };
}

const isForEncryption = (jwk: unknown) => isObject(jwk) && jwk.use === "enc";

function readSet(text: string): readonly unknown[] {
  const set = parse(text);
  const keys = isObject(set) && typeof set.kty === "string" ? [set] : isObject(set) ? set.keys : undefined;
  if (!Array.isArray(keys)) throw unusable('expected a JWKS, an object with a list "keys"');
  if (keys.length > MAX_KEYS) throw unusable(`expected at most ${MAX_KEYS} keys, got ${keys.length}`);
  return keys;
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw unusable("expected a JWKS, got what is no JSON");
  }
}

function readOrWhy(jwk: unknown): VerificationKey | string {
  try {
    return readJwk(jwk);
  } catch (error) {
    if (error instanceof M2pushError) return error.message;
    throw error;
  }
}

function readJwk(jwk: unknown): VerificationKey {
  if (!isObject(jwk)) throw unusable("it is no object");
  const { kid, alg, use, key_ops: operations } = jwk;
  if (kid !== undefined && typeof kid !== "string") throw unusable("its kid is no string");
  if (use !== undefined && use !== "sig") throw unusable("it is not for signatures (use)");
  if (operations !== undefined && !(Array.isArray(operations) && operations.includes("verify"))) {
    throw unusable("it is not to verify with (key_ops)");
  }
  const key = jwk.kty === "oct" ? readSecret(jwk, kid) : publicKey(readPublic(jwk), kid);
  if (alg !== undefined && alg !== key.algorithm) throw unusable(`its alg is not ${key.algorithm}`);
  return key;
}

function readSecret({ k }: JsonObject, id: string | undefined): VerificationKey {
  const isText = typeof k === "string" && /^[A-Za-z0-9_-]+$/.test(k);
  if (!isText) throw unusable("its k is no base64url");
  return secretKey(Buffer.from(k, "base64url"), id);
}

function readPublic(jwk: JsonObject): KeyObject {
  try {
    return createPublicKey({ key: jwk as JsonWebKey, format: "jwk" });
  } catch (cause) {
    throw unusable("it is broken, or of a type that is not served", cause);
  }
}
