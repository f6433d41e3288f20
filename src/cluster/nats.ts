/**
 * A session with a NATS server (2.9 or newer), through NATS' own client, which only this file, nats-follow.ts
 * and retry-without-leader.ts use.
 *
 * The client's own reconnecting is off, because it would hide which messages were in flight when the connection broke. The bus opens
 * another session instead.
 */
import {
  DiscardPolicy,
  JetStreamApiCodes,
  JetStreamApiError,
  type JetStreamClient,
  type JetStreamManager,
  jetstream,
  jetstreamManager,
  type MsgRequest,
  type NextMsgRequest,
  RetentionPolicy,
  StorageType,
  type StoredMsg,
  type StreamConfig,
} from "@nats-io/jetstream";
import { connect, createInbox, InvalidArgumentError, type NatsConnection, nanos } from "@nats-io/transport-node";
import type { EqualIds } from "../delivery/history.js";
import { M2pushError } from "../errors.js";
import type { Clock } from "../util/clock.js";
import { connectionOptions, type Limits, type NatsOptions } from "./nats-connection.js";
import { follow, toStreamMessage } from "./nats-follow.js";
import { retryWithoutLeader } from "./retry-without-leader.js";
import type {
  Dial,
  OutgoingRecord,
  StreamConsumer,
  StreamMessage,
  StreamSession,
  StreamState,
} from "./stream-session.js";

/**
 * Timeout of a request to the server. While a NATS cluster elects a leader no server answers: a short timeout makes the daemon ask
 * again soon after the election.
 */
const REQUEST_TIMEOUT_MS = 2000;
/** Messages requested at a time. */
const READ_BATCH_MESSAGES = 256;
/** Longer than any publisher waits: a late acknowledgement still tells that the stream stores messages. */
const PUBLISH_TIMEOUT_MS = 15_000;
/** How long the stream remembers message ids: far longer than a publication is sent again. */
const DUPLICATE_WINDOW_MS = 120_000;
/** NATS' error code for a stream that exists with another configuration. */
const STREAM_EXISTS_CODE = 10058;

/** Opens sessions with whichever of the servers answers first. */
export function natsDial(options: NatsOptions, clock: Clock): Dial {
  return async () => {
    const connection = await connect(connectionOptions(options));
    return new NatsSession(connection, options, clock);
  };
}

class NatsSession implements StreamSession {
  readonly closed: Promise<string>;
  readonly #connection: NatsConnection;
  readonly #options: NatsOptions;
  readonly #clock: Clock;
  readonly #manager: Promise<JetStreamManager>;
  readonly #client: JetStreamClient;

  constructor(connection: NatsConnection, options: NatsOptions, clock: Clock) {
    this.#connection = connection;
    this.#options = options;
    this.#clock = clock;
    this.#manager = jetstreamManager(connection, { checkAPI: false, timeout: REQUEST_TIMEOUT_MS });
    this.#client = jetstream(connection, { timeout: PUBLISH_TIMEOUT_MS });
    this.closed = connection
      .closed()
      .then((error) => (error instanceof Error ? error.message : "the connection is closed"));
  }

  async inspect(): Promise<StreamState | undefined> {
    const manager = await this.#manager;
    try {
      const { config, state, cluster } = await manager.streams.info(this.#options.stream);
      return {
        epoch: this.#epochOf(config),
        first: state.messages === 0 ? state.last_seq + 1 : state.first_seq,
        last: state.last_seq,
        count: state.messages,
        bytes: state.bytes,
        followers: state.consumer_count,
        leader: cluster?.leader ?? "",
        differs: describeDifference(config, this.#options),
      };
    } catch (error) {
      if (error instanceof JetStreamApiError && error.code === JetStreamApiCodes.StreamNotFound) return undefined;
      throw error;
    }
  }

  async create(epoch: string): Promise<void> {
    const { stream, limits, replicas, inMemory } = this.#options;
    const manager = await this.#manager;
    const config = {
      name: stream,
      description: "m2push: what was published, in order",
      subjects: [this.#subject(epoch, "*")],
      retention: RetentionPolicy.Limits,
      discard: DiscardPolicy.Old,
      storage: inMemory ? StorageType.Memory : StorageType.File,
      num_replicas: replicas,
      duplicate_window: nanos(Math.min(DUPLICATE_WINDOW_MS, limits.maxAge)),
      ...streamLimits(limits),
    };
    try {
      await manager.streams.add(config);
    } catch (error) {
      if (!(error instanceof JetStreamApiError && error.code === STREAM_EXISTS_CODE)) throw error;
    }
  }

  async changeEpoch(epoch: string): Promise<void> {
    const manager = await this.#manager;
    const { config } = await manager.streams.info(this.#options.stream);
    await manager.streams.update(config.name, { ...config, subjects: [this.#subject(epoch, "*")] });
  }

  async follow(
    from: number,
    take: (message: StreamMessage) => void,
    ended: (why: string) => void,
  ): Promise<StreamConsumer> {
    const manager = await this.#manager;
    return follow({
      connection: this.#connection,
      manager,
      clock: this.#clock,
      stream: this.#options.stream,
      from,
      take,
      ended,
    });
  }

  /** Reads message by message, because only the stream's leader answers that; a consumer may be on another server. */
  async read(after: number, through: number): Promise<StreamMessage[]> {
    const messages: StreamMessage[] = [];
    for (let from = after + 1; from <= through; from += READ_BATCH_MESSAGES) {
      const count = Math.min(READ_BATCH_MESSAGES, through + 1 - from);
      const requests = Array.from({ length: count }, (_, at) => this.#message({ seq: from + at }));
      for (const it of await Promise.all(requests))
        if (it) messages.push(toStreamMessage(it.seq, it.subject, stampOf(it.timestamp), it.data));
    }
    return messages;
  }

  async find(epoch: string, key = "*", which: EqualIds = "oldest", after = 0): Promise<number | undefined> {
    const subject = this.#subject(epoch, key);
    // The server takes the second form as well, but the client's types know it only for another request.
    const request: MsgRequest | NextMsgRequest =
      which === "newest" ? { last_by_subj: subject } : { seq: after + 1, next_by_subj: subject };
    const message = await this.#message(request as unknown as MsgRequest);
    return message?.seq;
  }

  async erase(sequence: number): Promise<void> {
    const { streams } = await this.#manager;
    try {
      await streams.deleteMessage(this.#options.stream, sequence, true);
    } catch (error) {
      if (await this.#message({ seq: sequence })) throw error;
    }
  }

  async #message(request: MsgRequest): Promise<StoredMsg | null> {
    const { streams } = await this.#manager;
    return retryWithoutLeader(this.#clock, () => streams.getMessage(this.#options.stream, request));
  }

  async send({ epoch, key, id, data, after, afterSameKey }: OutgoingRecord): Promise<number> {
    try {
      const { seq } = await this.#client.publish(this.#subject(epoch, key), data, {
        msgID: id,
        ...(after !== undefined && { expect: { lastSequence: after } }),
        ...(afterSameKey !== undefined && { expect: { lastSubjectSequence: afterSameKey } }),
      });
      return seq;
    } catch (error) {
      if (error instanceof InvalidArgumentError) {
        throw new M2pushError("too_large", `NATS does not take an event of ${data.length} bytes (max_payload)`, {
          cause: error,
        });
      }
      throw error;
    }
  }

  broadcast(data: Uint8Array): void {
    if (!this.#connection.isClosed()) this.#connection.publish(this.#nodesSubject, data);
  }

  onBroadcast(hear: (data: Uint8Array) => void): void {
    this.#connection.subscribe(this.#nodesSubject, {
      callback: (error, message) => void (error ?? hear(message.data)),
    });
  }

  request(data: Uint8Array, answered: (data: Uint8Array) => void): () => void {
    if (this.#connection.isClosed()) return () => {};
    const reply = createInbox();
    const answers = this.#connection.subscribe(reply, {
      callback: (error, message) => {
        // NATS itself answers with an empty message where nobody listens.
        if (!error && message.data.length > 0) answered(message.data);
      },
    });
    this.#connection.publish(this.#requestsSubject, data, { reply });
    return () => answers.unsubscribe();
  }

  onRequest(answer: (data: Uint8Array) => Promise<Uint8Array | undefined>): void {
    this.#connection.subscribe(this.#requestsSubject, {
      callback: (error, message) => {
        if (error) return;
        void answer(message.data).then((data) => {
          if (data && !this.#connection.isClosed()) message.respond(data);
        });
      },
    });
  }

  async close(): Promise<void> {
    await this.#connection.close();
  }

  /** Not a subject of the stream. */
  get #nodesSubject(): string {
    return `m2push-nodes.${this.#options.stream}`;
  }

  get #requestsSubject(): string {
    return `m2push-requests.${this.#options.stream}`;
  }

  #subject(epoch: string, key: string): string {
    return `m2push.${this.#options.stream}.${epoch}.${key}`;
  }

  #epochOf({ subjects }: StreamConfig): string {
    const { stream } = this.#options;
    for (const subject of subjects) {
      const [, name, epoch, key, rest] = subject.split(".");
      if (name === stream && epoch && /^[A-Za-z0-9]+$/.test(epoch) && key === "*" && rest === undefined) return epoch;
    }
    const fix = "let m2push make it, and change its limits afterwards";
    throw new M2pushError(
      "unavailable",
      `the stream ${stream} has the subjects ${subjects.join(", ")}, not those of m2push: ${fix}`,
    );
  }
}

/** RFC 3339 in UTC, with up to nine digits of a second, to nanoseconds since 1970 in digits. */
function stampOf(timestamp: string): string {
  const [second = "", fraction = ""] = timestamp.replace("Z", "").split(".");
  return `${Date.parse(`${second}Z`) / 1000}${fraction.padEnd(9, "0")}`;
}

function streamLimits({ maxEvents, maxAge, maxBytes }: Limits) {
  return { max_msgs: maxEvents, max_age: nanos(maxAge), max_bytes: maxBytes };
}

/** What of the stream's limits is not as configured. */
function describeDifference(config: StreamConfig, { limits, replicas }: NatsOptions): string | undefined {
  const wanted = { ...streamLimits(limits), num_replicas: replicas };
  const different = Object.entries(wanted).filter(([name, value]) => config[name as keyof typeof wanted] !== value);
  if (different.length === 0) return undefined;
  const list = different.map(
    ([name, value]) => `${name} ${config[name as keyof typeof wanted]} (configured: ${value})`,
  );
  return `the stream ${config.name} has limits of its own, which stay as they are: ${list.join(", ")}`;
}
