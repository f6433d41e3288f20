/**
 * A key, and the one algorithm that it verifies. The algorithm follows from the type of the key and never from the token, so that a public
 * key cannot be used as the secret of an HMAC, nor the reverse (RFC 8725 sections 2.1 and 3.1). Keys are parsed by node:crypto, not by
 * jose: docs/decisions/0029-keys-are-parsed-by-node-crypto.md.
 */
import { createHmac, createSecretKey, type KeyObject } from "node:crypto";
import { M2pushError } from "../../errors.js";

/** The accepted algorithms (RFC 7518 section 3.1, RFC 8037 section 3.1). */
type Algorithm = "HS256" | "RS256" | "ES256" | "EdDSA";

export interface VerificationKey {
  readonly algorithm: Algorithm;
  /** The `kid` that selects it; undefined: it is tried for every token of its algorithm. */
  readonly id: string | undefined;
  readonly key: KeyObject;
  /** Identifies the key, also in another process; the key cannot be derived from it. */
  readonly fingerprint: string;
}

/** 12 bytes in base64url: it is stored with each client. */
const FINGERPRINT_CHARACTERS = 16;

/** Required by RFC 7518 section 3.3; recommended by section 3.2. */
const MIN_RSA_BITS = 2048;
const MIN_SECRET_BYTES = 32;

/** A fault of key material, with its fix. loadKeys() adds the name of the setting. */
export function keyError(fault: string, cause?: unknown): M2pushError {
  return new M2pushError("config_invalid", fault, { cause });
}

/** Throws "config_invalid" for a key of no accepted algorithm, or with fewer than 2048 bits (RSA). */
export function publicKey(key: KeyObject, id?: string): VerificationKey {
  const der = key.export({ type: "spki", format: "der" });
  return { algorithm: algorithmOf(key), id, key, fingerprint: fingerprintOf(der) };
}

function algorithmOf(key: KeyObject): Algorithm {
  const { asymmetricKeyType: type, asymmetricKeyDetails: details } = key;
  if (type === "ed25519") return "EdDSA";
  if (type === "ec" && details?.namedCurve === "prime256v1") return "ES256";
  if (type === "ec") throw keyError(`expected a P-256 key (ES256), got one on ${details?.namedCurve}`);
  if (type !== "rsa") throw keyError(`expected an RSA, P-256 or Ed25519 key, got one for ${type}`);
  const bits = details?.modulusLength ?? 0;
  if (bits < MIN_RSA_BITS) throw keyError(`expected an RSA key of at least ${MIN_RSA_BITS} bits, got one of ${bits}`);
  return "RS256";
}

/** `secret` must not be empty. */
export function secretKey(secret: Buffer, id?: string): VerificationKey {
  return { algorithm: "HS256", id, key: createSecretKey(secret), fingerprint: fingerprintOf(secret) };
}

/** Keyed, so that it differs from a plain hash of the secret, which may be known elsewhere. */
function fingerprintOf(key: Buffer): string {
  return createHmac("sha256", "m2push key").update(key).digest("base64url").slice(0, FINGERPRINT_CHARACTERS);
}

/** A warning for the operator about a key that is accepted nevertheless. */
export function weakness({ algorithm, key }: VerificationKey): string | undefined {
  const bytes = key.symmetricKeySize ?? 0;
  if (algorithm !== "HS256" || bytes >= MIN_SECRET_BYTES) return undefined;
  return `a secret of ${bytes} bytes can be guessed; fix: use ${MIN_SECRET_BYTES} or more (openssl rand -base64 ${MIN_SECRET_BYTES})`;
}
