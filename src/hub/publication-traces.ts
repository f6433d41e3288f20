/** Port: records what the hub does with a publication. It hears of publications with a trace context only. No call throws or waits. */
import type { DeliveryTraces } from "../delivery/delivery-traces.js";
import type { Publication } from "../protocol/publication.js";

export interface PublicationTraces {
  /** The bus has given the publication its position. Returns a function that takes what History.append() has returned. */
  positioned(publication: Publication): (stored: Promise<void> | undefined) => void;
  /** For the deliveries of one server. */
  deliveryOf(server: string): DeliveryTraces;
}
