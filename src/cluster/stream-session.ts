/**
 * The port of the cluster to NATS JetStream: one stream through one connection. nats.ts implements it; the tests have an
 * implementation in memory. A session never reconnects: after its end the bus opens another.
 *
 * The stream's epoch is a word of its subject, `m2push.<stream>.<epoch>.<key>`, and so part of the stream's configuration: every
 * daemon reads the same epoch, and a message for one epoch is never stored in another. The key is derived from the publisher's own
 * id (stream-record.ts); find() looks events up by it.
 */
import type { EqualIds } from "../delivery/history.js";

/** The state of the stream. */
export interface StreamState {
  readonly epoch: string;
  /** The sequence of the oldest message that is held; `last + 1` when none is. */
  readonly first: number;
  /** The highest sequence ever given; 0 before the first. */
  readonly last: number;
  /** Messages held, and their size in bytes. */
  readonly count: number;
  readonly bytes: number;
  /** Number of its consumers. */
  readonly followers: number;
  /** The server that leads the stream: it holds what it has acknowledged. "" = a single server. */
  readonly leader: string;
  /** Describes limits that differ from the configuration, for operators. */
  readonly differs: string | undefined;
}

/** One message of the stream. */
export interface StreamMessage {
  readonly sequence: number;
  readonly epoch: string;
  /** When the stream stored it: nanoseconds since 1970, in digits. Together with the sequence it identifies a message. */
  readonly stamp: string;
  readonly data: Uint8Array;
}

/** A running consumer. */
export interface StreamConsumer {
  /** The server of the consumer. Its messages count while that server leads the stream. */
  readonly leader: string;
  /** No message is delivered afterwards. */
  stop(): void;
}

export interface StreamSession {
  /** Resolves with the reason when the connection ends; pending promises of the session are rejected around that moment. */
  readonly closed: Promise<string>;
  /** Undefined = the stream does not exist. */
  inspect(): Promise<StreamState | undefined>;
  /** Creates the stream; does nothing when it exists. */
  create(epoch: string): Promise<void>;
  /** Gives the stream another epoch. Stored messages keep their sequences and their epoch. */
  changeEpoch(epoch: string): Promise<void>;
  /**
   * Delivers every message from a sequence on to `take`, in order and without duplicates; only messages that the stream no longer
   * holds are left out. When that cannot be guaranteed any more (heartbeats missing, stream deleted) `ended` is called once.
   */
  follow(from: number, take: (message: StreamMessage) => void, ended: (why: string) => void): Promise<StreamConsumer>;
  /** The messages with sequences above `after` up to `through`, in order; trimmed ones are left out. `through` must exist. */
  read(after: number, through: number): Promise<StreamMessage[]>;
  /**
   * The sequence of the oldest message of an epoch above `after` (absent: 0), or of the newest one, with this key if one is given; undefined
   * = the stream holds none.
   */
  find(epoch: string, key?: string, which?: EqualIds, after?: number): Promise<number | undefined>;
  /** Erases a message from the stream, its bytes overwritten; resolves also where it is not there any more. */
  erase(sequence: number): Promise<void>;
  /**
   * Publishes; calls are sent in order. Resolves with the sequence once the stream has stored the message; for an `id` that was
   * stored within the last two minutes, with the same sequence. Rejects with "too_large", or when the result is unknown.
   */
  send(message: OutgoingRecord): Promise<number>;
  /** Sends data to all listeners, with at-most-once delivery; nothing is stored. */
  broadcast(data: Uint8Array): void;
  /** Calls the listener for each broadcast, including this session's own. */
  onBroadcast(hear: (data: Uint8Array) => void): void;
  /**
   * Sends a request to all sessions, this one included, with at-most-once delivery. `answered` is called for each answer until the returned
   * function is called.
   */
  request(data: Uint8Array, answered: (data: Uint8Array) => void): () => void;
  /** Answers each request with what the listener resolves with; undefined = no answer. The listener never rejects. */
  onRequest(answer: (data: Uint8Array) => Promise<Uint8Array | undefined>): void;
  close(): Promise<void>;
}

export interface OutgoingRecord {
  readonly epoch: string;
  readonly key: string;
  readonly id: string;
  readonly data: Uint8Array;
  /** The required predecessor's sequence, else the stream refuses the message; absent = any. */
  readonly after?: number;
  /** The same of the messages with its key; 0 = there is none. */
  readonly afterSameKey?: number;
}

/** Opens a session; rejects with the reason. */
export type Dial = () => Promise<StreamSession>;
