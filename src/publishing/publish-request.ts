/** What every ingress hands to the Publisher. */
import type { Draft } from "../protocol/publication.js";
import type { PublishCondition } from "./publish-condition.js";

/** One request of a publisher: an event, or a batch of them. */
export interface PublishRequest {
  /** Checked by checkDraft() and authorized; in the order of their positions. Never empty. */
  readonly drafts: readonly Draft[];
  /** Who publishes: the scope of idempotency keys. Issuer and subject of the token, otherwise the source. */
  readonly publisher: string;
  /** Another scope of rates; absent = `publisher`. */
  readonly rateScope?: string;
  /** The ingress slows the publisher down to its rate by itself: the request is not rejected as "rate_limited". */
  readonly isPaced?: boolean;
  /** Idempotency key of the whole request; beside it each draft may have its own. */
  readonly key?: string;
  /** When it was received: PublishTraces.now(). Absent = traces are off. */
  readonly receivedAt?: number | undefined;
  /** Publishes only while it holds; for a request of one event. */
  readonly condition?: PublishCondition;
}
