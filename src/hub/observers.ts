/** Two journals as one: everything is told to the first, then to the second. */

import type { DeliveryObserver, PublicationSource } from "../delivery/ports.js";
import type { M2pushError } from "../errors.js";

/** All that is told of what happens: by the hub (Journal), by endpoints, by the recovery after a restart, and by doors. */
export interface DaemonObserver extends DeliveryObserver {
  /** After this many milliseconds of waiting for it. */
  serverLive(server: string, milliseconds: number): void;
  serverLost(server: string, why: string): void;
  recovered(server: string, result: { adopted: number; cancelled: number; gone: number; proven: boolean }): void;
  controlFailed(server: string, error: unknown): void;
  /** Connections were closed that nobody would ever have answered; `rule`: why they counted as ours. */
  orphansClosed(server: string, connections: number, rule: "ours" | "exclusive" | "unknown"): void;
  wrongIdent(server: string, configured: string, seen: string): void;
  malformed(server: string, error: M2pushError): void;
  /** A publication was not accepted, or could not be stored. */
  publicationRejected(source: PublicationSource, error: M2pushError): void;
  /** A peer of our ZeroMQ socket at `address` was cut off. `remote`: its own address and port, "" = none. */
  peerRefused(address: string, error: M2pushError, remote: string): void;
  /** The operating system ended a ZeroMQ connection that was up. */
  connectionBroken(error: M2pushError): void;
  /** Mongrel2 has taken a flush, so many milliseconds after it was sent. */
  fencePassed(server: string, milliseconds: number): void;
  /** Messages were dropped that may have been of a Mongrel2 that is gone. */
  stale(server: string, messages: number): void;
  /**
   * A request was answered, by a stream (200) or otherwise. `route`: from a closed set, never the client's path. `why`: what
   * the client is not told of a refusal.
   */
  answered(server: string, route: string, status: number, why?: string): void;
}

/** `failed` hears of what either throws, which is a mistake of ours: what is told of must go on. */
export function combineObservers(
  first: DaemonObserver,
  second: DaemonObserver,
  failed: (error: unknown) => void,
): DaemonObserver {
  const both = <Name extends keyof DaemonObserver>(name: Name): DaemonObserver[Name] => {
    type Tell = (...told: unknown[]) => void;
    const tellFirst = (first[name] as Tell).bind(first);
    const tellSecond = (second[name] as Tell).bind(second);
    return ((...told: unknown[]) => {
      try {
        tellFirst(...told);
      } catch (error) {
        failed(error);
      }
      try {
        tellSecond(...told);
      } catch (error) {
        failed(error);
      }
    }) as DaemonObserver[Name];
  };
  return {
    connected: both("connected"),
    disconnected: both("disconnected"),
    adopted: both("adopted"),
    published: both("published"),
    repeatedId: both("repeatedId"),
    flushed: both("flushed"),
    gap: both("gap"),
    serverLive: both("serverLive"),
    serverLost: both("serverLost"),
    recovered: both("recovered"),
    controlFailed: both("controlFailed"),
    orphansClosed: both("orphansClosed"),
    wrongIdent: both("wrongIdent"),
    malformed: both("malformed"),
    publicationRejected: both("publicationRejected"),
    peerRefused: both("peerRefused"),
    connectionBroken: both("connectionBroken"),
    fencePassed: both("fencePassed"),
    stale: both("stale"),
    answered: both("answered"),
  };
}
