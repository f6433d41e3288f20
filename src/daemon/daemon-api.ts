/** The interface of a running daemon, for programs that embed it. */
import type { Config } from "../config/schema.js";
import type { DaemonEvent, EventOf } from "../hub/events.js";
import type { Logger } from "../observability/log/logger.js";
import type { Draft } from "../protocol/publication.js";
import type { Clock } from "../util/clock.js";

/** An event for publish(): `topics` begins with the canonical one; `private` absent = for every subscriber of the topics. */
export type EventToPublish = Omit<Draft, "private" | "storedKey"> & { readonly private?: boolean };

/** Where the daemon can be reached. */
export interface DaemonAddress {
  /** URL of the admin server, with the port that was bound; undefined = [admin] listen is empty. */
  readonly admin: string | undefined;
  /** ZeroMQ endpoint for publishers (PUSH connects); undefined = [publish] zmq is empty. */
  readonly publish: string | undefined;
  /** URL of the Mercure hub, as Mongrel2 serves it: [hub] origin and path. */
  readonly hub: string;
  /** Path of the plain event stream: [stream] path. */
  readonly stream: string;
}

/** A running daemon. */
export interface Daemon {
  readonly address: DaemonAddress;
  /** Resolves when the first Mongrel2 has answered; stays pending while none does. */
  readonly live: Promise<void>;
  /**
   * Publishes one event and resolves with its id when it is as durable as [history] durability says. Rejects with an M2pushError:
   * "invalid" or "too_large" (limits of docs/configuration.md), "storage_failed" when it cannot be stored, "unavailable" while the
   * daemon stops or a cluster does not answer. Two calls in a row keep their order.
   */
  publish(event: EventToPublish): Promise<{ readonly id: string }>;
  /**
   * Calls `listener` for each event of this type, in the same tick as it happens: it must return at once. What it throws is logged.
   * Returns a function that removes the listener. Types: see DaemonEvent.
   */
  on<Type extends DaemonEvent["type"]>(type: Type, listener: (event: EventOf<Type>) => void): () => void;
  /**
   * Applies a new configuration as far as that needs no restart, and returns the keys that differ and do, as "section.key". Throws
   * "config_invalid" when a token key cannot be read; then nothing changes.
   */
  reload(config: Config): readonly string[];
  /**
   * Delivers what was published, answers what Mongrel2 has handed over, then frees every socket, timer and file. Streams stay open for
   * the next process, or are closed (DaemonOptions.drain). Never rejects for a peer that does not answer: each step has a time limit.
   * Further calls return the same promise.
   */
  stop(): Promise<void>;
}

export interface DaemonOptions {
  /** Absent = JSON lines to stdout at level [log] level. */
  readonly log?: Logger;
  /** Absent = the machine's clock. */
  readonly clock?: Clock;
  /** Close the streams when stopping; absent = leave them open for the next process. */
  readonly drain?: boolean;
  /** Aborted: give up waiting for NATS during the start. */
  readonly signal?: AbortSignal;
  /** Stop the daemon that uses the same data folder, and wait up to 15 s for it; absent = that daemon is an error. */
  readonly takeover?: boolean;
}
