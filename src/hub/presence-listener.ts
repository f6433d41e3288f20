/** The ports through which the hub reports subscribers, and other nodes theirs. Implemented by http/mercure/presence.ts. */
import type { Subscriber } from "../delivery/subscriber.js";

/**
 * Receives subscribers that connect and disconnect, in order, each once; also those whose silent death is found later, and those of the
 * previous process that did not survive it. Never throws, never waits.
 */
export interface PresenceListener {
  joined(subscriber: Subscriber): void;
  /** The subscriber was connected to the previous process: watchers already know it. */
  adopted(subscriber: Subscriber): void;
  /** The subscriptions of a connected subscriber have changed; both have the same id. */
  changed(before: Subscriber, after: Subscriber): void;
  left(subscriber: Subscriber): void;
}

/** Receives the subscribers of other nodes. */
export interface RemotePresenceObserver {
  joined(subscriber: Subscriber): void;
  changed(before: Subscriber, after: Subscriber): void;
  left(subscriber: Subscriber): void;
  /** Messages of other nodes were lost: some subscribers may have joined or left unreported. */
  missed(): void;
}
