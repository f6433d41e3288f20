/**
 * Port: records when the publications of one server were queued, sent and taken. It hears of publications with a trace context only.
 * Calls are in the order of what happens; none throws, waits, or changes what delivery does next.
 */
import type { Publication } from "../protocol/publication.js";

export interface DeliveryTraces {
  /** A publication waits to be sent to this number of live clients, at least one. Offsets rise. */
  queued(publication: Publication, clients: number): void;
  /** A flush was written to Mongrel2: live clients have been sent everything up to this offset. */
  sent(through: number): void;
  /** Mongrel2 has taken the flush: its fence has passed. */
  taken(): void;
  /** Clients get what was queued for them from the history instead. */
  fellBehind(): void;
  /** The link is lost: what was queued or sent is neither sent nor taken. */
  reset(): void;
}
