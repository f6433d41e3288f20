/** The port that orders publications. Implementations: cluster/local-bus.ts (this process counts), cluster/cluster-bus.ts (JetStream). */
import type { GapReason } from "../delivery/reasons.js";
import type { M2pushError } from "../errors.js";
import type { Draft, Publication } from "../protocol/publication.js";
import type { Removal } from "../protocol/removal.js";

/** What became of one event of a batch. */
export type PublishedEvent = { readonly id: string } | { readonly error: M2pushError };

/** Where a publication came from: HTTP, the ZeroMQ ingress, or the daemon itself (beacon). */
export type PublicationSource = "http" | "zmq" | "internal";

/**
 * Takes publications that are stored together or not at all; the promise resolves when they are as durable as configured; undefined =
 * they already are. The bus must not call it from within itself.
 */
export type Deliver = (publications: readonly Publication[]) => Promise<void> | undefined;

/** Gives every publication its position in the one order that all clients see. `start` is called once, before any publish. */
export interface Bus {
  /** Names one sequence of positions: offsets of two epochs cannot be compared. [A-Za-z0-9_-]+ */
  readonly epoch: string;
  /**
   * Hands every publication of the bus to `deliver` by rising offset, without a gap. Where a gap cannot be avoided, it calls
   * `discontinuity` between the two publications: "expired" when those between them are lost (the history's floor and last are beyond
   * them), "unknown" when a new epoch begins (of the bus, the history and all offsets).
   */
  start(deliver: Deliver, discontinuity: (reason: GapReason) => void): Promise<void>;
  /**
   * Publishes one event. Consecutive calls keep their order. Resolves when the event is as durable as configured. Rejects with
   * "storage_failed" when it cannot be stored (no client gets the event), or with "unavailable" when the outcome is unknown.
   */
  publish(draft: Draft): Promise<Publication>;
  /**
   * Publishes several events in a row; resolves with what became of each. One daemon stores them together: then it rejects as publish()
   * does when none was stored. A cluster stores each by itself.
   */
  publishAll(drafts: readonly Draft[]): Promise<readonly PublishedEvent[]>;
  /**
   * Publishes one event for a caller that needs failures only. Events of one tick may share the promise; undefined = done. May also throw
   * what publish() rejects with. (One promise for each event was a tenth of the cost of a flood.)
   */
  post(draft: Draft): Promise<unknown> | undefined;
  /** Publishes a removal; as publish(). Everything that it concerns is left out of reads and deliveries from the same tick on. */
  remove(removal: Removal): Promise<Publication>;
  close(): Promise<void>;
}
