/** What the parts of the client tell each other, and what users get of it. Types only. */

export type State = "connecting" | "open" | "closed";

/** Events that were lost. */
export interface Gap {
  /** The hub's reason (docs/troubleshooting.md of m2push); "unknown" also where the client itself has no position to continue from. */
  readonly reason: string;
  /** Id before the oldest event that the hub has; "" = unknown. */
  readonly oldest: string;
}

/** An attempt that failed, or a stream that ended. */
export interface Failure {
  readonly reason: string;
  /** Of the response; absent = there was none, or EventSource does not tell. */
  readonly status?: number;
  /** Delay before the next attempt, milliseconds. */
  readonly retryInMs: number;
}

/** What a source tells its tab, or the worker all tabs. `id`: the position after it, "" = unknown. */
export type Message =
  | { readonly type: "event"; readonly name: string; readonly data: string; readonly id: string }
  | { readonly type: "gap"; readonly detail: Gap; readonly id: string }
  | { readonly type: "state"; readonly detail: State; readonly id: string }
  | { readonly type: "position"; readonly id: string }
  | { readonly type: "failure"; readonly detail: Failure; readonly id: string };

export type TransportName = "eventsource" | "fetch";

/** What a source needs; a worker gets it as a message. */
export interface SourceOptions {
  /** Absolute, without the topics. */
  readonly url: string;
  /** Address of the hub: PATCH of <hub>/streams/<name> changes topics. */
  readonly hub: string;
  /** The parameter of a topic: "topic", or "match" (Mercure draft-08). */
  readonly parameter: "topic" | "match";
  readonly topics: readonly string[];
  readonly credentials: "include" | "same-origin";
  readonly headers: Readonly<Record<string, string>>;
  readonly transport: TransportName;
  /** Asks for heartbeats that a script can see (m2push). */
  readonly heartbeat: boolean;
  /** Asks for a stream whose topics can be changed (m2push). */
  readonly control: boolean;
  readonly lastEventId: string;
}

/** Makes a token, before each attempt. */
export type GetToken = () => string | undefined | Promise<string | undefined>;

/** One request for a stream. */
export interface StreamRequest {
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  /** "" = there is none. */
  readonly lastEventId: string;
  readonly credentials: "include" | "same-origin";
}

/** Nothing is called after close() of the stream. */
export interface StreamObserver {
  opened(): void;
  /** `data` undefined = a position alone. `id`: the id of this event or of the last one before it that had one. */
  received(type: string, data: string | undefined, id: string): void;
  /** Bytes have arrived. */
  alive(): void;
  /** The hub asks for another reconnection delay, milliseconds. */
  retry(delayMs: number): void;
  /** The last call. */
  failed(failure: Omit<Failure, "retryInMs"> & { readonly retryAfterMs?: number }): void;
}

export interface OpenStream {
  /** Receives the events of a type, too. */
  listen(type: string): void;
  close(): void;
}
