/**
 * What the cluster needs of NATS JetStream: one stream, seen through one connection. `nats.ts` is the real one; tests have one
 * that can be cut. A session is one life of the connection: it is never mended, the bus opens another.
 *
 * The stream's epoch is a word in its subject, `m2push.<stream>.<epoch>.<key>`, and so in the configuration that all its users
 * share: every daemon reads the same one, and what is published for one epoch can never end up in another. The key is that of
 * the publisher's own id (see stream-record.ts), by which such an event is found again.
 */
import type { EqualIds } from "../delivery/history.js";

/** What the stream is like at one moment. */
export interface StreamState {
  readonly epoch: string;
  /** The sequence of the oldest message that is held; `last + 1` when none is. */
  readonly first: number;
  /** The highest sequence ever given; 0 before the first. */
  readonly last: number;
  /** Messages held, and their size in bytes. */
  readonly count: number;
  readonly bytes: number;
  /** How many follow it, or read it, at this moment. */
  readonly followers: number;
  /** The server that says what is in the stream: what it acknowledges, it holds. "" = there is one only. */
  readonly leader: string;
  /** The limits it has, where they are not those that were asked for: a text for operators. */
  readonly differs: string | undefined;
}

/** One message of the stream. */
export interface StreamMessage {
  readonly sequence: number;
  readonly epoch: string;
  /** When the stream took it: nanoseconds since 1970, in digits. With the sequence it tells a message from every other. */
  readonly stamp: string;
  readonly data: Uint8Array;
}

/** Messages that are coming in. */
export interface StreamConsumer {
  /** The server that they come from: what it has is what the stream has as long as it leads the stream. */
  readonly leader: string;
  /** No more are handed over. */
  stop(): void;
}

export interface StreamSession {
  /** Resolves when the connection is over, with why; every promise below has then been rejected, or is about to be. */
  readonly closed: Promise<string>;
  /** Undefined = there is no such stream. */
  look(): Promise<StreamState | undefined>;
  /** Makes the stream, empty; does nothing when somebody else has just made it. */
  make(epoch: string): Promise<void>;
  /** Gives the stream another epoch from here on. What it holds keeps its sequences, and its own epoch. */
  renew(epoch: string): Promise<void>;
  /**
   * Hands every message from a sequence on to `take`, in order, none twice, none left out but those that the stream no longer
   * holds. When that can be promised no more (nothing was heard for too long, the stream is gone) `ended` is called, once.
   */
  follow(from: number, take: (message: StreamMessage) => void, ended: (why: string) => void): Promise<StreamConsumer>;
  /** What the stream holds of the sequences above `after`, up to `through`, which have all been given: in order. */
  read(after: number, through: number): Promise<StreamMessage[]>;
  /**
   * The sequence of the oldest message of an epoch, or of the newest, of those with this key if one is given; undefined = none is held.
   */
  find(epoch: string, key?: string, which?: EqualIds): Promise<number | undefined>;
  /**
   * Publishes. Calls leave in order. The sequence comes when the stream has stored the message, the same one again for an `id`
   * that it has stored within the last two minutes. Rejects when nothing can be known of it, or with "too_large".
   */
  send(message: OutgoingRecord): Promise<number>;
  /** Tells something to all who listen, at once: at most once, and it is not kept. */
  tell(data: Uint8Array): void;
  /** Hears what is told, by itself too, as long as the session lasts. */
  listen(hear: (data: Uint8Array) => void): void;
  close(): Promise<void>;
}

export interface OutgoingRecord {
  readonly epoch: string;
  readonly key: string;
  readonly id: string;
  readonly data: Uint8Array;
  /** The sequence after which it must come, or it is refused; absent = wherever the stream ends. */
  readonly after?: number;
}

/** Opens a session; rejects with an error that says why there is none. */
export type Dial = () => Promise<StreamSession>;
