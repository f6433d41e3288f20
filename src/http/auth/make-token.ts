/** Signs tokens with the keys that the daemon verifies them with, for `m2push token make`. */
import { createPrivateKey, createPublicKey, type KeyObject, randomUUID } from "node:crypto";
import { SignJWT } from "jose";
import type { JsonObject } from "./claims.js";
import type { DialectName } from "./grants.js";
import { keyError, publicKey, type VerificationKey } from "./verification-key.js";

export interface TokenContent {
  readonly dialect: DialectName;
  /** Topics, in the notation of the dialect. */
  readonly publish: readonly string[];
  readonly subscribe: readonly string[];
  /** Of an access token: the topics are URL patterns. */
  readonly isPattern: boolean;
  /** Seconds since 1970; undefined = never (0.x only). */
  readonly expiresAt: number | undefined;
  readonly issuedAt: number;
  /** "" = none. */
  readonly issuer: string;
  /** Of an access token. */
  readonly audience: string;
  readonly subject?: string;
  /** What other subscribers see of the holder. */
  readonly payload?: unknown;
}

export interface SigningKey extends Pick<VerificationKey, "algorithm" | "id"> {
  /** A secret or a private key. */
  readonly key: KeyObject;
}

const DETAIL_TYPE = "https://mercure.rocks/authorization-detail";

/**
 * The key that signs for one of `keys`: the first secret among them, or the private key in `pem`, whose public half must be among them. `setting`
 * names them in errors. Throws "config_invalid".
 */
export function signingKey(setting: string, keys: readonly VerificationKey[], pem?: string): SigningKey {
  if (keys.length === 0) throw keyError(`${setting}: no key is configured; fix: set it`);
  if (pem !== undefined) return privateKey(setting, keys, pem);
  const secret = keys.find(({ algorithm }) => algorithm === "HS256");
  if (secret === undefined)
    throw keyError(
      `${setting} is a public key, which signs nothing; fix: give the private key with --private-key FILE`,
    );
  return secret;
}

function privateKey(setting: string, keys: readonly VerificationKey[], pem: string): SigningKey {
  const key = readPrivate(pem);
  const own = publicKey(createPublicKey(key));
  const configured = keys.find(({ fingerprint }) => fingerprint === own.fingerprint);
  if (configured === undefined)
    throw keyError(
      `the private key does not belong to ${setting}: the daemon would refuse its tokens; fix: set its public half there (openssl pkey -in KEY -pubout)`,
    );
  return { algorithm: own.algorithm, id: configured.id, key };
}

function readPrivate(pem: string): KeyObject {
  try {
    return createPrivateKey(pem);
  } catch (cause) {
    throw keyError("--private-key: expected a private key as PEM, without a passphrase", cause);
  }
}

/** Each token has a `jti`, by which it can be revoked alone. */
export function signToken(content: TokenContent, { algorithm: alg, id: kid, key }: SigningKey): Promise<string> {
  const { dialect, issuer, audience, subject, expiresAt, issuedAt } = content;
  const isAccessToken = dialect === "draft-08";
  const typ = isAccessToken ? "at+jwt" : "JWT";
  const token = new SignJWT(isAccessToken ? claimsV8(content) : claimsV0(content));
  token.setProtectedHeader({ alg, typ, ...(kid !== undefined && { kid }) });
  token.setIssuedAt(issuedAt).setJti(randomUUID());
  if (expiresAt !== undefined) token.setExpirationTime(expiresAt);
  if (issuer !== "") token.setIssuer(issuer);
  if (isAccessToken) token.setAudience(audience);
  if (subject !== undefined) token.setSubject(subject);
  return token.sign(key);
}

function claimsV0({ publish, subscribe, payload }: TokenContent): JsonObject {
  return { mercure: { publish, subscribe, ...(payload !== undefined && { payload }) } };
}

function claimsV8({ publish, subscribe, payload, isPattern }: TokenContent): JsonObject {
  const detail = (action: string, topics: readonly string[], more: JsonObject = {}) => {
    const entries = topics.map((match) => ({ match, ...(isPattern && { match_type: "urlpattern" }) }));
    return topics.length === 0 ? [] : [{ type: DETAIL_TYPE, actions: [action], topics: entries, ...more }];
  };
  const shown = payload === undefined ? {} : { payload };
  return { authorization_details: [...detail("publish", publish), ...detail("subscribe", subscribe, shown)] };
}
