/**
 * The bus of a daemon among several: a JetStream stream gives each publication its sequence, and every daemon follows it from
 * where it stood, for ever. One round of following is:
 *
 *   dial     a session with a NATS server; again and again until there is one
 *   survey   is it the stream that we know? Find it, or make it; see what of it is lost to us
 *   follow   take every message in its order
 *   survey   once more: it was not replaced between the two
 *
 * and when the consumer ends, it is surveyed and followed anew; when the session ends, another is dialled.
 *
 * Clients are told when the stream was made anew (another epoch: positions of the old one mean nothing), and when some of it
 * was trimmed or purged before we could take it.
 */

import type { GapReason } from "../delivery/reasons.js";
import { M2pushError } from "../errors.js";
import type { Bus, Deliver } from "../hub/bus.js";
import type { Draft, Publication } from "../protocol/publication.js";
import { backoff } from "../util/backoff.js";
import { CancellableSleep } from "../util/cancellable-sleep.js";
import { type Clock, waitAtMost } from "../util/clock.js";
import { Throttle } from "../util/throttle.js";
import type { StreamObserver } from "./cluster-conditions.js";
import type { ClusterHistory } from "./cluster-history.js";
import type { Nodes } from "./nodes.js";
import { StallDetector } from "./stall-detector.js";
import { StreamPublisher } from "./stream-publisher.js";
import { decodeStreamRecord } from "./stream-record.js";
import type { Dial, StreamConsumer, StreamMessage, StreamSession, StreamState } from "./stream-session.js";
import { type StreamLocation, StreamValidator } from "./stream-validator.js";

export interface ClusterBusOptions extends StreamObserver {
  readonly dial: Dial;
  readonly clock: Clock;
  readonly history: ClusterHistory;
  readonly nodes: Nodes;
  /** A new name for an epoch: [A-Za-z0-9]+. */
  readonly newEpoch: () => string;
  /** A name that no other daemon has or had. */
  readonly name: string;
  /** What an operator should know. Called at most now and then with the same kind of thing. */
  readonly warn: (warning: string) => void;
}

/** Between two attempts to reach NATS, milliseconds. */
const RETRY_MS = { first: 100, last: 3000 };
/** How often the stream is looked at while it is followed, milliseconds: for its size, and for what its consumer does not say. */
const INSPECT_INTERVAL_MS = 2000;
/** Messages read before the first is served, so that those who come back find the newest in memory. */
const WARMUP_MESSAGES = 20_000;
/** The same warning again after this long, milliseconds. */
const WARNING_INTERVAL_MS = 60_000;
/** How long a stop waits for acknowledgements, milliseconds. */
const STOP_TIMEOUT_MS = 2000;

export class ClusterBus implements Bus {
  readonly #options: ClusterBusOptions;
  readonly #publisher: StreamPublisher;
  readonly #validator: StreamValidator;
  readonly #stallDetector = new StallDetector();
  readonly #warningThrottle: Throttle;
  readonly #retrySleep: CancellableSleep;
  #deliver: Deliver | undefined;
  #notifyGap: (reason: GapReason) => void = () => {};
  #location: StreamLocation | undefined;
  /** What the stream ended with when it was last surveyed. */
  #validatedLast = 0;
  /** Whether it is known where the epoch begins. */
  #isBaseKnown = false;
  #session: StreamSession | undefined;
  /** What was last said of the session: why there is none, or undefined = it is there. */
  #reportedReason: string | undefined = "";
  #isClosed = false;
  #followLoop: Promise<void> = Promise.resolve();
  #resolveWarm: () => void = () => {};

  constructor(options: ClusterBusOptions) {
    this.#options = options;
    this.#publisher = new StreamPublisher(options.clock, options.name, options.refused);
    this.#warningThrottle = new Throttle(options.clock, WARNING_INTERVAL_MS);
    this.#retrySleep = new CancellableSleep(options.clock);
    this.#validator = new StreamValidator({ ...options, onRollback: (warning) => this.#warn("rolled back", warning) });
  }

  get epoch(): string {
    return this.#options.history.epoch;
  }

  /** Where this daemon stands; undefined before it knows. */
  get location(): StreamLocation | undefined {
    return this.#location;
  }

  /**
   * Begins to follow; resolves when the history can be served. `known`: where this daemon stood when it last ran; with that it
   * resolves after `patience` milliseconds in any case, serves what it can, and goes on from there when NATS is back.
   */
  async open(known: StreamLocation | undefined, timeoutMs: number): Promise<void> {
    const warm = new Promise<void>((resolve) => {
      this.#resolveWarm = resolve;
    });
    this.#followLoop = this.#run(known);
    if (!known) return warm;
    await waitAtMost(this.#options.clock, timeoutMs, warm);
    if (!this.#location) this.#startEpoch(known);
  }

  async start(deliver: Deliver, notifyGap: (reason: GapReason) => void = () => {}): Promise<void> {
    this.#deliver = deliver;
    this.#notifyGap = notifyGap;
  }

  publish(draft: Draft): Promise<Publication> {
    if (this.#deliver && !this.#isClosed) return this.#publisher.publish(draft);
    const why = "the daemon is not taking publications: it is starting or stopping";
    return Promise.reject(new M2pushError("unavailable", why));
  }

  post(draft: Draft): Promise<Publication> {
    return this.publish(draft);
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await waitAtMost(this.#options.clock, STOP_TIMEOUT_MS, this.#publisher.drained());
    this.#publisher.close();
    this.#options.nodes.close();
    this.#retrySleep.cancel();
    this.#resolveWarm();
    await this.#session?.close();
    await this.#followLoop;
    this.#deliver = undefined;
  }

  /** Never rejects: ends with close(). */
  async #run(known: StreamLocation | undefined): Promise<void> {
    const { dial } = this.#options;
    const wait = backoff(RETRY_MS.first, RETRY_MS.last);
    while (!this.#isClosed) {
      try {
        this.#session = await dial();
        await this.#serve(this.#session, known, wait.reset);
      } catch (error) {
        this.#disconnected(messageOf(error));
      }
      await this.#retrySleep.for(wait.next());
    }
  }

  /** Follows the stream as long as the session lasts. Rejects with why it is over. */
  async #serve(session: StreamSession, known: StreamLocation | undefined, succeeded: () => void): Promise<void> {
    let closeReason: string | undefined;
    const closed = session.closed.then((why) => {
      closeReason = why;
      return why;
    });
    try {
      while (!this.#isClosed && closeReason === undefined) {
        await this.#adoptState(session, await this.#validator.validate(session, this.#location ?? known));
        const why = await this.#follow(session, closed, succeeded);
        if (closeReason === undefined) this.#warn("following", `the stream is followed anew: ${why}`);
        await this.#retrySleep.for(RETRY_MS.first);
      }
      throw new M2pushError("unavailable", closeReason ?? "closed");
    } finally {
      await session.close();
    }
  }

  /** Resolves with why it ended. */
  async #follow(session: StreamSession, closed: Promise<string>, succeeded: () => void): Promise<string> {
    const { clock, history } = this.#options;
    let end: (why: string) => void = () => {};
    const ended = new Promise<string>((resolve) => {
      end = resolve;
    });
    const consumer = await session.follow(history.last + 1, (message) => this.#takeMessage(message, end), end);
    const inspect = async () => {
      const state = await this.#inspect(session, consumer);
      if (typeof state === "string") end(state);
      else if (this.#stallDetector.isStalled(history.last, state.last)) end("its consumer stood still");
    };
    const stopWatching = clock.every(INSPECT_INTERVAL_MS, () => inspect().catch((error) => end(messageOf(error))));
    try {
      // Once more: it could have been replaced after the survey.
      const state = await this.#inspect(session, consumer);
      if (typeof state === "string") return state;
      this.#connected(session);
      succeeded();
      return await Promise.race([ended, closed]);
    } finally {
      stopWatching();
      consumer.stop();
    }
  }

  /** Takes over what the stream holds; a text when it is another than is followed. */
  async #inspect(session: StreamSession, { leader }: StreamConsumer): Promise<StreamState | string> {
    const { history } = this.#options;
    const { last } = history;
    const state = await session.inspect();
    if (state?.epoch !== history.epoch) return "the stream was replaced";
    if (state.leader !== leader) return "another server leads the stream";
    this.#validator.confirm(last);
    history.updateState(state);
    return state;
  }

  #connected(session: StreamSession): void {
    const { history, nodes } = this.#options;
    history.connect(session);
    nodes.connect(session);
    this.#publisher.connect(session, history.epoch);
    this.#reportConnection(undefined);
    if (history.last >= this.#validatedLast) this.#resolveWarm();
  }

  #disconnected(why: string): void {
    if (this.#isClosed) return;
    this.#options.history.connect(undefined);
    this.#options.nodes.connect(undefined);
    this.#publisher.disconnect(why);
    this.#reportConnection(why);
  }

  #reportConnection(why: string | undefined): void {
    if (this.#reportedReason === why) return;
    this.#reportedReason = why;
    this.#options.changed(why);
  }

  /** Takes over what a survey has found. */
  async #adoptState(session: StreamSession, state: StreamState): Promise<void> {
    const { history } = this.#options;
    const [isFirst, isNew] = [!this.#location, this.#location?.epoch !== state.epoch];
    if (state.differs) this.#warn("limits", state.differs);
    this.#validatedLast = state.last;
    if (isNew || !this.#isBaseKnown) {
      const base = ((await session.find(state.epoch)) ?? state.last + 1) - 1;
      if (isNew)
        this.#startEpoch({
          epoch: state.epoch,
          last: isFirst ? Math.max(base, state.last - WARMUP_MESSAGES) : base,
          stamp: "",
        });
      history.setBase(base);
      this.#isBaseKnown = true;
    }
    history.updateState(state);
    if (isNew && !isFirst) this.#notifyGap("unknown");
    else if (history.last < history.floor) this.#reportLost(history.floor);
  }

  #startEpoch(location: StreamLocation): void {
    this.#options.history.startEpoch(location.epoch, location.last);
    this.#location = location;
  }

  #takeMessage(message: StreamMessage, end: (why: string) => void): void {
    const { history } = this.#options;
    const { sequence, epoch, stamp } = message;
    if (sequence <= history.last) return;
    const isOurs = epoch === history.epoch;
    if (!isOurs && sequence > this.#validatedLast) {
      end("the stream has another epoch");
      return;
    }
    if (sequence > history.last + 1) this.#reportLost(sequence - 1);
    const publication = isOurs ? decodeStreamRecord(message, epoch) : "it is of another epoch";
    this.#location = { epoch: history.epoch, last: sequence, stamp };
    this.#validator.noteTaken(message);
    if (typeof publication === "string") this.reportForeignMessage(sequence, publication);
    else if (publication && this.#deliver) void this.#deliver(publication);
    else if (publication) history.append(publication);
    history.skip(sequence);
    if (sequence >= this.#validatedLast) this.#resolveWarm();
  }

  /** Everything up to an offset was trimmed before we could take it. */
  #reportLost(through: number): void {
    const { history } = this.#options;
    history.markLost(through);
    this.#location = { epoch: history.epoch, last: through, stamp: "" };
    if (this.#deliver) this.#notifyGap("expired");
  }

  /** Somebody else has written to the stream. */
  reportForeignMessage(sequence: number, why: string): void {
    this.#warn("foreign", `message ${sequence} of the stream is left out: ${why}`);
  }

  #warn(kind: "following" | "limits" | "rolled back" | "foreign", warning: string): void {
    if (this.#isClosed) return;
    this.#warningThrottle.run(kind, (suppressed) => {
      this.#options.warn(suppressed > 0 ? `${warning} (and ${suppressed} more of this kind)` : warning);
    });
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
