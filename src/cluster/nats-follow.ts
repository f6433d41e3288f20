/**
 * An ephemeral ordered push consumer of a stream. The server numbers what it delivers to a consumer, so that a lost message shows;
 * it pauses when the daemon is slow (flow control), and sends idle heartbeats. Nothing is requested again here: after an end the bus
 * creates another consumer at its own location.
 *
 * The consumer must be on the server that leads the stream, because only the leader surely holds what was acknowledged. Measured
 * with NATS 2.9: in 11 of 29 runs in which a leader was stopped under load and continued, it stored what publishers had sent to it
 * meanwhile in the place of messages that the other servers had acknowledged, and kept them, in some runs with all later messages
 * shifted by a few sequences. A consumer on that server missed hundreds of events without an error.
 *
 * NATS places a consumer without replicas on any server of the stream, even on a dead one, and offers no way to choose. So the
 * daemon creates several at a time until one is on the leader.
 */
import type { ConsumerConfig, ConsumerInfo, JetStreamManager } from "@nats-io/jetstream";
import {
  createInbox,
  type Msg,
  type MsgHdrs,
  type NatsConnection,
  nanos,
  type Subscription,
} from "@nats-io/transport-node";
import { M2pushError } from "../errors.js";
import type { Cancel, Clock } from "../util/clock.js";
import type { StreamConsumer, StreamMessage } from "./stream-session.js";

export interface FollowOptions {
  readonly connection: NatsConnection;
  readonly manager: JetStreamManager;
  readonly clock: Clock;
  readonly stream: string;
  readonly from: number;
  readonly take: (message: StreamMessage) => void;
  readonly ended: (why: string) => void;
}

const HEARTBEAT_INTERVAL_MS = 500;
/** Heartbeat intervals without any message before the consumer counts as lost. A blocked process counts one interval. */
const MAX_SILENT_INTERVALS = 5;
const CONSUMER_IDLE_TIMEOUT_MS = 5000;
/** Consumers created at a time: of three servers, four attempts miss the leader one time in five. */
const CONCURRENT_ATTEMPTS = 4;
/** Never reached by chance. In the last round any server is accepted, for a NATS that places no consumer on the leader. */
const MAX_ROUNDS = 12;

export async function follow(options: FollowOptions): Promise<StreamConsumer> {
  const { manager, stream, from } = options;
  // The server delivers nothing before the subject has a subscriber.
  const { consumer, leader } = await createAtLeader(manager, stream, () => ({
    deliver_subject: createInbox(),
    ack_policy: "none",
    deliver_policy: "by_start_sequence",
    opt_start_seq: from,
    flow_control: true,
    idle_heartbeat: nanos(HEARTBEAT_INTERVAL_MS),
    mem_storage: true,
    num_replicas: 1,
    inactive_threshold: nanos(CONSUMER_IDLE_TIMEOUT_MS),
  }));
  const pushConsumer = new PushConsumer(options, consumer.config.deliver_subject ?? "");
  return {
    leader,
    stop() {
      if (pushConsumer.stop()) deleteConsumer(manager, stream, consumer);
    },
  };
}

interface LeaderConsumer {
  readonly consumer: ConsumerInfo;
  /** The stream's leader once the consumer existed; "" = a single server. */
  readonly leader: string;
}

/** `config` is called for each consumer: deliveries of a discarded one must not reach the subject of another. */
async function createAtLeader(
  manager: JetStreamManager,
  stream: string,
  config: () => Partial<ConsumerConfig>,
): Promise<LeaderConsumer> {
  const { cluster } = await manager.streams.info(stream);
  const length = cluster?.replicas?.length ? CONCURRENT_ATTEMPTS : 1;
  for (let round = 1; ; round++) {
    const attempts = Array.from({ length }, () => createConsumer(manager, stream, config(), round === MAX_ROUNDS));
    const leaderConsumer = await Promise.any(attempts).catch(throwUnlessRetryable);
    if (!leaderConsumer) continue;
    for (const it of attempts)
      it.then((other) => other !== leaderConsumer && deleteConsumer(manager, stream, other.consumer)).catch(() => {});
    return leaderConsumer;
  }
}

async function createConsumer(
  manager: JetStreamManager,
  stream: string,
  config: Partial<ConsumerConfig>,
  isAnywhere: boolean,
): Promise<LeaderConsumer> {
  const consumer = await manager.consumers.add(stream, config);
  // Requested after the consumer: an earlier answer may name a deposed leader.
  const { cluster } = await manager.streams.info(stream);
  const leader = cluster?.leader ?? "";
  if (isAnywhere || leader === (consumer.cluster?.leader ?? "")) return { consumer, leader };
  deleteConsumer(manager, stream, consumer);
  throw new M2pushError("unavailable", "the consumer is not where the stream's leader is");
}

/** Throws the first error unless a consumer was created in the wrong place, which is tried again at once. */
function throwUnlessRetryable({ errors }: AggregateError): undefined {
  if (!errors.some((error) => error instanceof M2pushError)) throw errors[0];
}

function deleteConsumer(manager: JetStreamManager, stream: string, { name }: ConsumerInfo): void {
  manager.consumers.delete(stream, name).catch(() => {}); // it also expires by itself (inactive_threshold)
}

class PushConsumer {
  readonly #options: FollowOptions;
  readonly #subscription: Subscription;
  readonly #stopWatching: Cancel;
  #isStopped = false;
  #silentIntervals = 0;
  #received = 0;

  constructor(options: FollowOptions, inbox: string) {
    this.#options = options;
    const callback = (error: Error | null, message: Msg) => this.#receive(error, message);
    this.#subscription = options.connection.subscribe(inbox, { callback });
    this.#stopWatching = options.clock.every(HEARTBEAT_INTERVAL_MS, () => {
      if (++this.#silentIntervals > MAX_SILENT_INTERVALS) this.#end("the consumer sent no heartbeat");
    });
  }

  /** False when it was stopped already. */
  stop(): boolean {
    if (this.#isStopped) return false;
    this.#isStopped = true;
    this.#stopWatching();
    this.#subscription.unsubscribe();
    return true;
  }

  #end(why: string): void {
    if (this.stop()) this.#options.ended(why);
  }

  #receive(error: Error | null, message: Msg): void {
    if (this.#isStopped) return;
    this.#silentIntervals = 0;
    if (error) this.#end(error.message);
    else if (message.data.length === 0 && message.headers) this.#control(message, message.headers);
    else this.#takeMessage(message);
  }

  #control({ reply }: Msg, headers: MsgHdrs): void {
    if (headers.code !== 100) {
      this.#end(`the stream's consumer ended: ${headers.description}`);
      return;
    }
    // A flow-control message expects a reply once everything before it was taken; so does a heartbeat of a stalled consumer.
    const stalled = reply || headers.get("Nats-Consumer-Stalled");
    if (stalled) this.#options.connection.publish(stalled);
    const sent = Number(headers.get("Nats-Last-Consumer") || this.#received);
    if (sent !== this.#received) this.#end("messages were lost on the way");
  }

  #takeMessage({ reply = "", subject, data }: Msg): void {
    const [consumed, sequence, stamp] = parseDelivery(reply);
    if (consumed === ++this.#received) this.#options.take(toStreamMessage(sequence, subject, stamp, data));
    else this.#end("messages were lost on the way");
  }
}

/** `$JS.ACK[.domain.account].stream.consumer.delivered.sequence.consumed.stamp.pending[.more]`; with a domain there are 11 or more words. */
function parseDelivery(reply: string): [consumed: number, sequence: number, stamp: string] {
  const words = reply.split(".");
  const at = words.length >= 11 ? 7 : 5;
  return [Number(words[at + 1]), Number(words[at]), words[at + 2] ?? "0"];
}

export function toStreamMessage(sequence: number, subject: string, stamp: string, data: Uint8Array): StreamMessage {
  return { sequence, epoch: subject.split(".")[2] ?? "", stamp, data };
}
