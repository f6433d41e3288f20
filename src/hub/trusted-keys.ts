/** The keys that may sign subscribers' tokens, and the clients whose tokens a removed key signed. */
import type { Client } from "../delivery/client.js";

export class TrustedKeys {
  /** Undefined while not all keys are known: every key counts as trusted then. */
  #fingerprints: ReadonlySet<string> | undefined;

  replace(fingerprints: ReadonlySet<string> | undefined): void {
    this.#fingerprints = fingerprints;
  }

  /** Whether all these keys are trusted. */
  has(fingerprints: readonly string[]): boolean {
    const trusted = this.#fingerprints;
    return trusted === undefined || fingerprints.every((it) => trusted.has(it));
  }

  /** Whether a removed key signed a token of the client. False for a client without a token. */
  isRevoked({ keyFingerprints }: Client): boolean {
    return keyFingerprints !== undefined && !this.has(keyFingerprints);
  }
}
