/** One issuer of tokens that is trusted with keys of its own: an [[issuer]] table. */
import type { VerificationKey } from "./verification-key.js";

export interface TrustedIssuer {
  /** The `iss` of its tokens. */
  readonly issuer: string;
  /** Accepted `aud`; empty: the hub's URL for access tokens, any for tokens of Mercure 0.x. */
  readonly audiences: readonly string[];
  /** As they are now. */
  readonly keys: readonly VerificationKey[];
  /** Whether the keys were ever read. */
  readonly isLoaded: boolean;
  /** Reads the keys again, for a token that none of them can have signed; at once where that is not due yet. Never rejects. */
  refresh(): Promise<void>;
}
