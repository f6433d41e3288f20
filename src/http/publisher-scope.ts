/** Who publishes over HTTP: the scope of idempotency keys and of rates (PublishRequest.publisher). */
import type { Principal } from "./access.js";

/** Publishers without a token, or without a subject in it, share one scope. */
export function scopeOf(principal: Principal): string {
  if (principal === "anonymous" || principal.subject === undefined) return "http";
  return `subject ${JSON.stringify([principal.issuer ?? null, principal.subject])}`;
}
