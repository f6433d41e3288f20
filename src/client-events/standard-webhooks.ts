/** Signs requests as Standard Webhooks 1.0 says ("Signature scheme", "Webhook headers"): github.com/standard-webhooks/standard-webhooks. */
import { createHmac } from "node:crypto";

const SECRET_PREFIX = "whsec_";
const MS_PER_SECOND = 1000;

export interface SignedMessage {
  /** The same in each attempt; without full stops. */
  readonly id: string;
  readonly body: string;
  /** Each signs; those that are "" do not. */
  readonly secrets: readonly string[];
  /** Of the attempt, milliseconds since 1970. */
  readonly time: number;
}

/** The three headers of a request. */
export function webhookHeaders({ id, body, secrets, time }: SignedMessage): Record<string, string> {
  const timestamp = Math.floor(time / MS_PER_SECOND);
  const signatures = secrets
    .filter((secret) => secret !== "")
    .map((secret) => `v1,${signature(secret, `${id}.${timestamp}.${body}`)}`);
  return {
    "webhook-id": id,
    "webhook-timestamp": String(timestamp),
    "webhook-signature": signatures.join(" "),
  };
}

function signature(secret: string, content: string): string {
  const key = Buffer.from(secret.slice(SECRET_PREFIX.length), "base64");
  return createHmac("sha256", key).update(content).digest("base64");
}
