/**
 * Messages of a stream as they come: an ephemeral ordered push consumer. The server numbers what it sends to a consumer, so that
 * anything lost on the way shows; it holds back when we are slow to take (flow control), and says that it is there when there
 * is nothing to send (idle heartbeat). Nothing is asked for again here: whoever follows begins anew from where it stood.
 *
 * It is on the server that leads the stream: what that one holds is what was acknowledged. Another may hold something else.
 * Seen with NATS 2.9, eleven times of twenty-nine that a leader had stopped under load and went on: what publishers had sent
 * to it meanwhile it stored in the place of what the others had stored and acknowledged, and kept it so, in some runs with all
 * that came later moved by a few sequences. Who followed the stream there missed hundreds of events, and was told nothing.
 *
 * NATS puts a consumer that is not replicated on any of the stream's servers, also on one that is dead, and cannot be told on
 * which. So some are made at a time, until one is where it should be.
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
/** Looks, one each HEARTBEAT, that find nothing new before the consumer counts as gone. A process that was held up looks once. */
const MAX_SILENT_INTERVALS = 5;
const CONSUMER_IDLE_TIMEOUT_MS = 5000;
/** Of three servers the leader is missed so one time in five. */
const CONCURRENT_ATTEMPTS = 4;
/** By chance it never comes to this. Then any server will do: a NATS that puts none on the leader must serve, too. */
const MAX_ROUNDS = 12;

export async function follow(options: FollowOptions): Promise<StreamConsumer> {
  const { manager, stream, from } = options;
  // A consumer sends nothing before somebody listens.
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
  /** Who led the stream when the consumer was there; "" = the server is alone. */
  readonly leader: string;
}

/** `config` is asked for each: what is sent by one that is given up must not be taken for another's. */
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
  // Asked afterwards: who led before may have been deposed.
  const { cluster } = await manager.streams.info(stream);
  const leader = cluster?.leader ?? "";
  if (isAnywhere || leader === (consumer.cluster?.leader ?? "")) return { consumer, leader };
  deleteConsumer(manager, stream, consumer);
  throw new M2pushError("unavailable", "the consumer is not where the stream's leader is");
}

/** Throws when there is no use in trying again at once. */
function throwUnlessRetryable({ errors }: AggregateError): undefined {
  if (!errors.some((error) => error instanceof M2pushError)) throw errors[0];
}

function deleteConsumer(manager: JetStreamManager, stream: string, { name }: ConsumerInfo): void {
  manager.consumers.delete(stream, name).catch(() => {}); // it ends by itself, too
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
      if (++this.#silentIntervals > MAX_SILENT_INTERVALS) this.#end("the stream's consumer fell silent");
    });
  }

  /** False when it was over already. */
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
    // Flow control asks to be answered when everything before it was taken; so does a heartbeat that waits for that.
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
