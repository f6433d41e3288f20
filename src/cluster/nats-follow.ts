/**
 * Messages of a stream as they come: an ephemeral ordered push consumer. The server numbers what it sends to a consumer, so that
 * anything lost on the way shows; it holds back when we are slow to take (flow control), and says that it is there when there
 * is nothing to send (idle heartbeat). Nothing is asked for again here: whoever follows begins anew from where it stood.
 */
import type { JetStreamManager } from "@nats-io/jetstream";
import {
  createInbox,
  type Msg,
  type MsgHdrs,
  type NatsConnection,
  nanos,
  type Subscription,
} from "@nats-io/transport-node";
import type { Cancel, Clock } from "../util/clock.js";
import type { Following, Stored } from "./session.js";

export interface FollowOptions {
  readonly connection: NatsConnection;
  readonly manager: JetStreamManager;
  readonly clock: Clock;
  readonly stream: string;
  readonly from: number;
  readonly take: (message: Stored) => void;
  readonly ended: (why: string) => void;
}

const HEARTBEAT = 500;
/** Looks, one each HEARTBEAT, that find nothing new before the consumer counts as gone. A process that was held up looks once. */
const SILENCES = 5;
const IDLE_CONSUMER = 5000;

export async function follow(options: FollowOptions): Promise<Following> {
  const { manager, stream, from } = options;
  const consumer = new PushConsumer(options);
  try {
    const { name } = await manager.consumers.add(stream, {
      deliver_subject: consumer.inbox,
      ack_policy: "none",
      deliver_policy: "by_start_sequence",
      opt_start_seq: from,
      flow_control: true,
      idle_heartbeat: nanos(HEARTBEAT),
      mem_storage: true,
      num_replicas: 1,
      inactive_threshold: nanos(IDLE_CONSUMER),
    });
    return {
      stop() {
        if (consumer.stop()) manager.consumers.delete(stream, name).catch(() => {}); // it ends by itself, too
      },
    };
  } catch (error) {
    consumer.stop();
    throw error;
  }
}

class PushConsumer {
  readonly inbox = createInbox();
  readonly #options: FollowOptions;
  readonly #subscription: Subscription;
  readonly #watch: Cancel;
  #isOver = false;
  #silences = 0;
  #received = 0;

  constructor(options: FollowOptions) {
    this.#options = options;
    const callback = (error: Error | null, message: Msg) => this.#hear(error, message);
    this.#subscription = options.connection.subscribe(this.inbox, { callback });
    this.#watch = options.clock.every(HEARTBEAT, () => {
      if (++this.#silences > SILENCES) this.#end("the stream's consumer fell silent");
    });
  }

  /** False when it was over already. */
  stop(): boolean {
    if (this.#isOver) return false;
    this.#isOver = true;
    this.#watch();
    this.#subscription.unsubscribe();
    return true;
  }

  #end(why: string): void {
    if (this.stop()) this.#options.ended(why);
  }

  #hear(error: Error | null, message: Msg): void {
    if (this.#isOver) return;
    this.#silences = 0;
    if (error) this.#end(error.message);
    else if (message.data.length === 0 && message.headers) this.#control(message, message.headers);
    else this.#take(message);
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

  #take({ reply = "", subject, data }: Msg): void {
    const [consumed, sequence, stamp] = delivery(reply);
    if (consumed === ++this.#received) this.#options.take(stored(sequence, subject, stamp, data));
    else this.#end("messages were lost on the way");
  }
}

/** `$JS.ACK[.domain.account].stream.consumer.delivered.sequence.consumed.stamp.pending[.more]`; with a domain there are 11 or more words. */
function delivery(reply: string): [consumed: number, sequence: number, stamp: string] {
  const words = reply.split(".");
  const at = words.length >= 11 ? 7 : 5;
  return [Number(words[at + 1]), Number(words[at]), words[at + 2] ?? "0"];
}

export function stored(sequence: number, subject: string, stamp: string, data: Uint8Array): Stored {
  return { sequence, epoch: subject.split(".")[2] ?? "", stamp, data };
}
