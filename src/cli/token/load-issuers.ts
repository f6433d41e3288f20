/** The issuers of the configuration, with the keys that their URLs have now. */
import type { Config } from "../../config/schema.js";
import { M2pushError } from "../../errors.js";
import { fetchJwks } from "../../http/auth/fetch-jwks.js";
import { Issuers } from "../../http/auth/issuers.js";
import type { TrustedIssuer } from "../../http/auth/trusted-issuer.js";
import type { Clock } from "../../util/clock.js";
import { Conditions } from "../../util/conditions.js";

export interface TokenContext {
  readonly config: Config;
  readonly clock: Clock;
}

/** Calls `use` with them; `needed`: the `iss` of the token. Rejects with "unavailable" where the keys of that issuer cannot be read. */
export async function withIssuers<T>(
  { config, clock }: TokenContext,
  needed: string | undefined,
  use: (issuers: ReadonlyMap<string, TrustedIssuer>) => Promise<T>,
): Promise<T> {
  const conditions = new Conditions(clock, () => {});
  const issuers = new Issuers({
    ...{ clock, conditions, fetch: fetchJwks, random: Math.random },
    changed: () => {},
    warn: () => {},
  });
  try {
    // Other issuers need not be asked.
    const prepared = issuers.prepare(config.issuer.filter(({ issuer }) => issuer === needed));
    await issuers.use(prepared);
    const [failed] = conditions.active;
    if (failed) throw new M2pushError("unavailable", `${failed.message}; fix: ${failed.fix}`);
    return await use(issuers.prepare(config.issuer).byIssuer);
  } finally {
    issuers.close();
  }
}
