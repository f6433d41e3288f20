/** `m2push token make`. */
import type { Config } from "../../config/schema.js";
import { M2pushError } from "../../errors.js";
import { hubUrl } from "../../http/app.js";
import type { DialectName } from "../../http/auth/grants.js";
import { loadKeys } from "../../http/auth/load-keys.js";
import { signingKey, signToken } from "../../http/auth/make-token.js";
import type { TrustedIssuer } from "../../http/auth/trusted-issuer.js";
import type { VerificationKey } from "../../http/auth/verification-key.js";
import { createVerifiers } from "../../http/auth/verifiers.js";
import { type TokenContext, withIssuers } from "./load-issuers.js";

export interface MakeOptions {
  readonly publish?: readonly string[];
  readonly subscribe?: readonly string[];
  readonly urlPatterns?: true;
  /** Milliseconds; Infinity = no end. */
  readonly expires: number;
  readonly sub?: string;
  readonly iss?: string;
  readonly payload?: unknown;
  readonly dialect?: DialectName;
  readonly role: "publisher" | "subscriber";
  /** A private key. */
  readonly pem?: string;
}

const MS_PER_SECOND = 1000;

/** Resolves with a token that the daemon accepts; rejects with the rule that would refuse it. */
export function makeToken(options: MakeOptions, context: TokenContext): Promise<string> {
  const { config, clock } = context;
  const { publish = [], subscribe = [], sub, payload, role, expires } = options;
  const issuer = options.iss ?? config.auth.issuer;
  return withIssuers(context, issuer, async (issuers) => {
    const dialect = options.dialect ?? (config.hub.protocol === "draft-08" ? "draft-08" : "0.x");
    const { setting, keys } = keysOf(role, config, issuers.get(issuer));
    const issuedAt = Math.floor(clock.now() / MS_PER_SECOND);
    const content = {
      ...{ dialect, publish, subscribe, issuer, issuedAt, isPattern: options.urlPatterns === true },
      audience: issuers.get(issuer)?.audiences[0] ?? hubUrl(config),
      expiresAt: Number.isFinite(expires) ? issuedAt + Math.ceil(expires / MS_PER_SECOND) : undefined,
      ...(sub !== undefined && { subject: sub }),
      ...(payload !== undefined && { payload }),
    };
    const token = await signToken(content, signingKey(setting, keys, options.pem));
    const verifiers = createVerifiers(config, { clock, base: hubUrl(config), issuers, warn: () => {} });
    const verified = await verifiers[`${role}s`].verify(token);
    if (!verified.ok) throw new M2pushError("invalid", `the daemon would refuse this token: ${verified.reason}`);
    return token;
  });
}

function keysOf(
  role: MakeOptions["role"],
  { auth }: Config,
  issuer: TrustedIssuer | undefined,
): { setting: string; keys: readonly VerificationKey[] } {
  if (issuer) return { setting: `the [[issuer]] ${issuer.issuer}`, keys: issuer.keys };
  const isOwn = role === "subscriber" && auth.subscriber_key !== "";
  const setting = isOwn ? "auth.subscriber_key" : "auth.publisher_key";
  return { setting, keys: loadKeys(setting, isOwn ? auth.subscriber_key : auth.publisher_key).keys };
}
