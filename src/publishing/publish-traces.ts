/** Port: records how the events of a request are published. Implementation: observability/traces/event-tracer.ts. */
import type { PublishedEvent } from "../hub/bus.js";
import type { Draft } from "../protocol/publication.js";

export interface PublishTraces {
  /** The time of spans: milliseconds since 1970, with fractions. */
  now(): number;
  /**
   * The events were received at a time (see now) and are valid; they are about to be handed to the bus. Undefined = none of them has the
   * trace context of a publisher that records its trace.
   */
  begin(drafts: readonly Draft[], receivedAt: number | undefined): TracedRequest | undefined;
}

/** One request with events that are traced. */
export interface TracedRequest {
  /** The events, those that are traced with the context of their own span. */
  readonly drafts: readonly Draft[];
  /** What became of each event. */
  end(results: readonly PublishedEvent[]): void;
  /** None of them was published, or that is unknown. */
  fail(error: unknown): void;
}
