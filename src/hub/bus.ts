/** The port that orders publications. Implementations: cluster/local-bus.ts (this process counts), cluster/cluster-bus.ts (JetStream). */
import type { GapReason } from "../delivery/reasons.js";
import type { Draft, Publication } from "../protocol/publication.js";

/** Where a publication came from: HTTP, the ZeroMQ ingress, or the daemon itself (beacon). */
export type PublicationSource = "http" | "zmq" | "internal";

/**
 * Takes one publication; the promise resolves when the publication is as durable as configured; undefined = it already is. The bus must
 * not call it from within itself.
 */
export type Deliver = (publication: Publication) => Promise<void> | undefined;

/** Gives every publication its position in the one order that all clients see. `start` is called once, before any publish. */
export interface Bus {
  /** Names one sequence of positions: offsets of two epochs cannot be compared. [A-Za-z0-9_-]+ */
  readonly epoch: string;
  /**
   * Hands every publication of the bus to `deliver`, one at a time, by rising offset, without a gap. Where a gap cannot be avoided, it calls
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
   * Publishes one event for a caller that needs failures only. Events of one tick may share the promise; undefined = done. May also throw
   * what publish() rejects with. (One promise for each event was a tenth of the cost of a flood.)
   */
  post(draft: Draft): Promise<unknown> | undefined;
  close(): Promise<void>;
}
