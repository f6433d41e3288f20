/** The two verifiers of a configuration: of publishers' and of subscribers' tokens. */
import type { Config } from "../../config/schema.js";
import type { KnownToken } from "../../hub/revocations.js";
import { CompileWork } from "../../matching/compile-work.js";
import { parseSelector, type Selector } from "../../matching/selector.js";
import type { Clock } from "../../util/clock.js";
import { loadKeys } from "./load-keys.js";
import type { TrustedIssuer } from "./trusted-issuer.js";
import { Verifier } from "./verifier.js";

export interface VerifiersOptions {
  readonly clock: Clock;
  /** The hub's URL. */
  readonly base: string;
  /** Of the [[issuer]] tables, by `iss`. */
  readonly issuers: ReadonlyMap<string, TrustedIssuer>;
  /** See VerifierOptions. */
  readonly isRevoked?: (token: KnownToken) => boolean;
  /** Called with warnings about keys, which never contain a key. */
  readonly warn: (warning: string) => void;
}

export interface Verifiers {
  readonly publishers: Verifier<Selector>;
  readonly subscribers: Verifier<Selector>;
}

/** Throws "config_invalid" if a key is not usable. */
export function createVerifiers(config: Config, options: VerifiersOptions): Verifiers {
  const { publisher_key: publisherKey, subscriber_key: subscriberKey } = config.auth;
  return {
    publishers: verifier("auth.publisher_key", publisherKey, config, options),
    subscribers: verifier("auth.subscriber_key", subscriberKey || publisherKey, config, options),
  };
}

function verifier(setting: string, material: string, { auth, hub }: Config, options: VerifiersOptions) {
  const { base, clock, issuers, isRevoked, warn } = options;
  const { keys, warnings } = loadKeys(setting, material);
  for (const warning of warnings) warn(warning);
  const issuer = auth.issuer || undefined;
  return new Verifier<Selector>({
    ...{ keys, clock, issuers },
    ...(isRevoked && { isRevoked }),
    newParser: () => {
      const work = new CompileWork();
      return (kind, value) => parseSelector(kind, value, base, work);
    },
    authority: hub.protocol === "0.x" ? undefined : { issuer, audiences: audiencesOf(base) },
    acceptsV0: hub.protocol !== "draft-08",
    leewayMs: auth.leeway,
    issuerV0: issuer,
  });
}

/** The hub's URL; on a loopback address, under every name of that address. */
function audiencesOf(base: string): string[] {
  const { hostname } = new URL(base);
  const local = ["localhost", "127.0.0.1", "[::1]"];
  return local.includes(hostname) ? local.map((name) => base.replace(hostname, name)) : [base];
}
