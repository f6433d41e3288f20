/** Keys as JSON: a JWK set, or a single JWK (RFC 7517). Public keys, and secrets (`oct`), since the file belongs to the operator. */
import { createPublicKey, type JsonWebKey, type KeyObject } from "node:crypto";
import { M2pushError } from "../../errors.js";
import { isObject, type JsonObject } from "./claims.js";
import { keyError, publicKey, secretKey, type VerificationKey } from "./verification-key.js";

export interface Jwks {
  readonly keys: readonly VerificationKey[];
  /** Keys that are not used, with the reason. Without those for encryption, which every set of an authorization server has. */
  readonly ignored: readonly string[];
}

/** A token without `kid` is verified with each key of its algorithm. */
const MAX_KEY_COUNT = 100;

/** Throws "config_invalid" if no key of the set is usable, or if one is private. */
export function readJwks(text: string): Jwks {
  const set = readSet(text);
  const secret = set.findIndex((jwk) => isObject(jwk) && jwk.kty !== "oct" && Object.hasOwn(jwk, "d"));
  if (secret >= 0) throw keyError(`expected public keys, got a private one (keys[${secret}] has "d")`);
  const keys: VerificationKey[] = [];
  const ignored: string[] = [];
  for (const [index, jwk] of set.entries()) {
    const key = readOrWhy(jwk);
    if (typeof key !== "string") keys.push(key);
    else if (!isForEncryption(jwk)) ignored.push(`keys[${index}] is ignored: ${key}`);
  }
  if (keys.length === 0) throw keyError(`expected a usable key; ${ignored.join("; ") || "there is none"}`);
  return { keys, ignored: ignored };
}

const isForEncryption = (jwk: unknown) => isObject(jwk) && jwk.use === "enc";

function readSet(text: string): readonly unknown[] {
  const set = parse(text);
  const keys = isObject(set) && typeof set.kty === "string" ? [set] : isObject(set) ? set.keys : undefined;
  if (!Array.isArray(keys)) throw keyError('expected a JWKS, an object with a list "keys"');
  if (keys.length > MAX_KEY_COUNT) throw keyError(`expected at most ${MAX_KEY_COUNT} keys, got ${keys.length}`);
  return keys;
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw keyError("expected a JWKS, got text that is not JSON");
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
  if (!isObject(jwk)) throw keyError("it is not an object");
  const { kid, alg, use, key_ops: operations } = jwk;
  if (kid !== undefined && typeof kid !== "string") throw keyError("its kid is not a string");
  if (use !== undefined && use !== "sig") throw keyError("it is not for signatures (use)");
  if (operations !== undefined && !(Array.isArray(operations) && operations.includes("verify"))) {
    throw keyError("it is not for verification (key_ops)");
  }
  const key = jwk.kty === "oct" ? readSecret(jwk, kid) : publicKey(readPublic(jwk), kid);
  if (alg !== undefined && alg !== key.algorithm) throw keyError(`its alg is not ${key.algorithm}`);
  return key;
}

function readSecret({ k }: JsonObject, id: string | undefined): VerificationKey {
  const isText = typeof k === "string" && /^[A-Za-z0-9_-]+$/.test(k);
  if (!isText) throw keyError("its k is not base64url");
  return secretKey(Buffer.from(k, "base64url"), id);
}

function readPublic(jwk: JsonObject): KeyObject {
  try {
    return createPublicKey({ key: jwk as JsonWebKey, format: "jwk" });
  } catch (cause) {
    throw keyError("it is broken, or of an unsupported type", cause);
  }
}
