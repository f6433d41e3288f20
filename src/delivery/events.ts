/**
 * What delivery emits for its observers. A new event is one member of DeliveryEvent; the compiler then names each observer that does not
 * handle it yet (see hub/events.ts).
 */
import type { Publication } from "../protocol/publication.js";
import type { Removal } from "../protocol/removal.js";
import type { Client } from "./client.js";
import type { Flush } from "./flush.js";
import type { DisconnectReason, FallBehindReason, GapReason } from "./reasons.js";
import type { StateKind } from "./selection.js";

/** `server` is the [[mongrel2]] name, `clients` the number of its clients after the event. */
export type DeliveryEvent =
  | {
      readonly type: "clientConnected";
      readonly server: string;
      readonly client: Client;
      readonly clients: number;
      /** As the client sent it; absent = none. */
      readonly lastEventId?: string | undefined;
    }
  /** The daemon continues the stream of a client of the previous process or link, which does not notice it. */
  | { readonly type: "clientAdopted"; readonly server: string; readonly client: Client; readonly clients: number }
  | {
      readonly type: "clientDisconnected";
      readonly server: string;
      readonly client: Client;
      readonly reason: DisconnectReason;
      readonly clients: number;
    }
  /** The topics of an open stream were changed; the client's audience is the new one. */
  | { readonly type: "topicsChanged"; readonly server: string; readonly client: Client }
  | { readonly type: "published"; readonly publication: Publication }
  /** Earlier publications were taken back. */
  | { readonly type: "removed"; readonly removal: Removal }
  /** A publisher used an event id a second time in this topic. */
  | { readonly type: "idRepeated"; readonly topic: string }
  | { readonly type: "flushed"; readonly server: string; readonly flush: Flush }
  /** Live clients continue from the history, because they or Mongrel2 are slow. */
  | {
      readonly type: "clientsFellBehind";
      readonly server: string;
      readonly reason: FallBehindReason;
      readonly clients: number;
    }
  /** A stream asked for state at once: see StateKind. */
  | { readonly type: "stateRequested"; readonly server: string; readonly kind: StateKind }
  /** Clients were told on their streams that they have missed publications. */
  | {
      readonly type: "gapReported";
      readonly server: string;
      readonly reason: GapReason;
      readonly clients: Iterable<Client>;
    };

/**
 * Takes an event as it happens, in the same tick. Never throws, never waits, and never changes what delivery does next.
 */
export type ObserveDelivery = (event: DeliveryEvent) => void;
