/**
 * A key, and the one algorithm that it verifies. The algorithm follows from the key's type and never from the token, so a
 * public key can not be taken for the secret of an HMAC, nor the other way round (RFC 8725 sections 2.1 and 3.1).
 */
import { createHmac, createSecretKey, type KeyObject } from "node:crypto";
import { M2pushError } from "../../errors.js";

/** All that are ever accepted (RFC 7518 section 3.1, RFC 8037 section 3.1). */
export type Algorithm = "HS256" | "RS256" | "ES256" | "EdDSA";

export interface VerificationKey {
  readonly algorithm: Algorithm;
  /** The `kid` that tokens may name it by; undefined: it is tried for any. */
  readonly id: string | undefined;
  readonly key: KeyObject;
  /** Tells the key from any other, also in another process; the key itself cannot be had from it. */
  readonly fingerprint: string;
}

/** Of 12 bytes: what is stored with each client stays small. */
const FINGERPRINT_CHARACTERS = 16;

/** RFC 7518 section 3.3, and section 3.2 for what is advised of a secret. */
const RSA_BITS = 2048;
const SECRET_BYTES = 32;

/** What is wrong with key material; says the mend. loadKeys() puts the name of the setting before it. */
export function unusable(why: string, cause?: unknown): M2pushError {
  return new M2pushError("config_invalid", why, { cause });
}

/** Throws "config_invalid" for a key that no allowed algorithm takes. */
export function publicKey(key: KeyObject, id?: string): VerificationKey {
  const der = key.export({ type: "spki", format: "der" });
  return { algorithm: algorithmOf(key), id, key, fingerprint: fingerprintOf(der) };
}

function algorithmOf(key: KeyObject): Algorithm {
  const { asymmetricKeyType: type, asymmetricKeyDetails: details } = key;
  if (type === "ed25519") return "EdDSA";
  if (type === "ec" && details?.namedCurve === "prime256v1") return "ES256";
  if (type === "ec") throw unusable(`expected a P-256 key (ES256), got one on ${details?.namedCurve}`);
  if (type !== "rsa") throw unusable(`expected an RSA, P-256 or Ed25519 key, got one for ${type}`);
  const bits = details?.modulusLength ?? 0;
  if (bits < RSA_BITS) throw unusable(`expected an RSA key of at least ${RSA_BITS} bits, got one of ${bits}`);
  return "RS256";
}

/** `secret` must not be empty. */
export function secretKey(secret: Buffer, id?: string): VerificationKey {
  return { algorithm: "HS256", id, key: createSecretKey(secret), fingerprint: fingerprintOf(secret) };
}

/** Keyed with a word of ours: it is nobody's hash of the secret. */
function fingerprintOf(key: Buffer): string {
  return createHmac("sha256", "m2push key").update(key).digest("base64url").slice(0, FINGERPRINT_CHARACTERS);
}

/** What the operator should know of a key that is taken nevertheless. */
export function weakness({ algorithm, key }: VerificationKey): string | undefined {
  const bytes = key.symmetricKeySize ?? 0;
  if (algorithm !== "HS256" || bytes >= SECRET_BYTES) return undefined;
  return `a secret of ${bytes} bytes can be guessed; use ${SECRET_BYTES} or more (openssl rand -base64 ${SECRET_BYTES})`;
}
