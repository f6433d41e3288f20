/**
 * Everything that happens in the daemon, as one union. To add an event: add a member here (or in delivery/events.ts) and emit it; the
 * compiler then demands a case in the switch of each observer that must know all events (log, metrics). A switch, because a table of
 * handlers, looked up by type, took 47 to 63 ns for a publication and the switches take 37.
 */
import type { DeliveryEvent } from "../delivery/events.js";
import type { M2pushError } from "../errors.js";
import type { ConditionEvent } from "../util/conditions.js";
import type { PublicationSource } from "./bus.js";

/** `server` is the [[mongrel2]] name. */
export type LinkEvent =
  /** Mongrel2 answered, `milliseconds` after the daemon began to wait for it: its clients are served. */
  | { readonly type: "linkLive"; readonly server: string; readonly milliseconds: number }
  | { readonly type: "linkLost"; readonly server: string; readonly reason: string }
  /** Mongrel2 acknowledged the fence of a flush, `milliseconds` after the flush was sent. */
  | { readonly type: "flushAcknowledged"; readonly server: string; readonly milliseconds: number }
  | { readonly type: "malformedMessage"; readonly server: string; readonly error: M2pushError }
  /** Messages were dropped because the Mongrel2 that sent them may have ended. */
  | { readonly type: "staleMessagesDropped"; readonly server: string; readonly messages: number }
  | { readonly type: "identMismatch"; readonly server: string; readonly configured: string; readonly received: string }
  | { readonly type: "controlPortFailed"; readonly server: string; readonly error: unknown };

/** What became of the connections of the previous process or link. */
export type AdoptionEvent =
  | {
      readonly type: "adoptionCompleted";
      readonly server: string;
      readonly adopted: number;
      readonly cancelled: number;
      /** Connections that had closed by themselves. */
      readonly gone: number;
      /** Mongrel2 is proven to be the same process. */
      readonly proven: boolean;
    }
  /** Connections were closed that no process would have answered; `rule` says why they counted as ours. */
  | {
      readonly type: "orphansClosed";
      readonly server: string;
      readonly connections: number;
      readonly rule: "ours" | "exclusive" | "unknown";
    };

export type IngressEvent =
  /** A publication was not accepted, or could not be stored. */
  | { readonly type: "publicationRejected"; readonly source: PublicationSource; readonly error: M2pushError }
  /** A request or event was not published again: its idempotency key was used before. */
  | { readonly type: "publicationRepeated" }
  /** Idempotency keys were evicted before the end of their window, because there were too many. */
  | { readonly type: "keysEvicted"; readonly count: number }
  /** The daemon ended the connection of a ZeroMQ peer. `address`: of our socket; `peer`: the peer's own address, "" = none. */
  | { readonly type: "peerRejected"; readonly address: string; readonly error: M2pushError; readonly peer: string }
  /** The operating system ended an established ZeroMQ connection. */
  | { readonly type: "zmqConnectionLost"; readonly error: M2pushError };

/**
 * A request has its response: a stream (200) or another one. `route` is from a closed set, never the client's path. `reason`: what the
 * response does not say about a refusal.
 */
export interface RequestEvent {
  readonly type: "requestCompleted";
  readonly server: string;
  readonly route: string;
  readonly status: number;
  readonly reason: string | undefined;
}

/** Events were removed from those that wait for a [[webhook]]: there were too many, or they were too old. */
interface WebhookEvent {
  readonly type: "webhookEventsLost";
  readonly webhook: string;
  readonly count: number;
}

/**
 * What became of spans: the collector took them, it did not, or they were not sent because of a limit. Of an event that is not traced for
 * that reason, its number of spans is unknown, and it counts as one.
 */
interface SpansEvent {
  readonly type: "spansHandled";
  readonly result: "exported" | "failed" | "dropped";
  readonly spans: number;
}

export type DaemonEvent =
  | DeliveryEvent
  | LinkEvent
  | AdoptionEvent
  | IngressEvent
  | RequestEvent
  | WebhookEvent
  | ConditionEvent
  | SpansEvent;

/** The member of DaemonEvent of this type. */
export type EventOf<Type extends DaemonEvent["type"]> = Extract<DaemonEvent, { readonly type: Type }>;

/** Takes an event as it happens, in the same tick; see ObserveDelivery. */
export type Observe = (event: DaemonEvent) => void;
