/** The keys that subscribers' tokens may be signed by now, and the clients whose keys are none of them any more. */
import type { Client } from "../delivery/client.js";

export class TrustedKeys {
  /** Undefined = nobody has said: then no client is looked at. */
  #fingerprints: ReadonlySet<string> | undefined;

  replace(fingerprints: ReadonlySet<string>): void {
    this.#fingerprints = fingerprints;
  }

  has(fingerprints: readonly string[]): boolean {
    const trusted = this.#fingerprints;
    return trusted === undefined || fingerprints.every((it) => trusted.has(it));
  }

  /** Whether a token of the client was signed by a key that is gone. One that came without a token has none to lose. */
  isRevoked({ keyFingerprints }: Client): boolean {
    return keyFingerprints !== undefined && !this.has(keyFingerprints);
  }

  /** The ids of such clients. */
  revoked(clients: Iterable<Client>): number[] {
    const ids: number[] = [];
    for (const client of clients) if (this.isRevoked(client)) ids.push(client.id);
    return ids;
  }
}
