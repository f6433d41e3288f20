/**
 * The bus of a daemon among several: a JetStream stream gives each publication its sequence, and every daemon follows the stream
 * from its own location. One round has these steps:
 *
 *   dial       opens a session with a NATS server, with backoff until one answers
 *   validate   finds or creates the stream, and compares it with what this daemon has taken (stream-validator.ts)
 *   follow     takes every message in order
 *   inspect    makes sure that the stream was not replaced since it was validated
 *
 * Long because it is the list of these steps. When the consumer ends, the bus validates and follows again; when the session ends, it dials another. Clients get a gap when the
 * stream has a new epoch or was trimmed beyond the daemon's location.
 */
import type { GapReason } from "../delivery/reasons.js";
import { M2pushError, messageOf } from "../errors.js";
import type { Bus, Deliver, PublishedEvent } from "../hub/bus.js";
import type { Draft, Publication } from "../protocol/publication.js";
import type { Removal } from "../protocol/removal.js";
import { backoff } from "../util/backoff.js";
import { CancellableSleep } from "../util/cancellable-sleep.js";
import { type Clock, waitAtMost } from "../util/clock.js";
import { Throttle } from "../util/throttle.js";
import type { StreamObserver } from "./cluster-conditions.js";
import type { ClusterHistory } from "./cluster-history.js";
import { HoleCheck } from "./hole-check.js";
import { KeyedStreamPublisher, spreadKey } from "./keyed-stream-publisher.js";
import type { Nodes } from "./nodes.js";
import { readKeys } from "./read-keys.js";
import { decodeMark, floorBefore, readRemovals } from "./removal-notes.js";
import { RemovalWorker } from "./removal-worker.js";
import { StallDetector } from "./stall-detector.js";
import { eventError, StreamPublisher } from "./stream-publisher.js";
import { decodeStreamRecord, FINALS_KEY } from "./stream-record.js";
import type { Dial, StreamConsumer, StreamMessage, StreamSession, StreamState } from "./stream-session.js";
import { type StreamLocation, StreamValidator } from "./stream-validator.js";
import { TakenSequences } from "./taken-sequences.js";

export interface ClusterBusOptions extends StreamObserver {
  readonly dial: Dial;
  readonly clock: Clock;
  readonly history: ClusterHistory;
  readonly nodes: Nodes;
  /** A new name for an epoch: [A-Za-z0-9]+. */
  readonly newEpoch: () => string;
  /** Unique to this process: the prefix of its message ids. */
  readonly name: string;
  /** A number from 0 up to 1. */
  readonly random: () => number;
  /** Messages read before the daemon serves clients; absent = WARMUP_MESSAGES. */
  readonly warmupMessages?: number | undefined;
  /** Receives warnings for operators, throttled by kind. */
  readonly warn: (warning: string) => void;
}

/** Pause between two attempts to reach NATS: backoff from the first to the last value. */
const RETRY_MS = { first: 100, last: 3000 };
/** How often the followed stream is inspected: for its size, its leader, and messages that its consumer does not deliver. */
const INSPECT_INTERVAL_MS = 2000;
/** So that most replays are answered from memory. */
const WARMUP_MESSAGES = 20_000;
/** The same kind of warning is repeated after this interval at the earliest. */
const WARNING_INTERVAL_MS = 60_000;
/** How long close() waits for acknowledgements of publications. */
const STOP_TIMEOUT_MS = 2000;

export class ClusterBus implements Bus {
  readonly #options: ClusterBusOptions;
  readonly #publisher: StreamPublisher;
  readonly #keyedPublisher: KeyedStreamPublisher;
  readonly #taken: TakenSequences;
  readonly #removalWorker: RemovalWorker;
  readonly #validator: StreamValidator;
  readonly #stallDetector = new StallDetector();
  readonly #warningThrottle: Throttle;
  readonly #retrySleep: CancellableSleep;
  #deliver: Deliver | undefined;
  #notifyGap: (reason: GapReason) => void = () => {};
  #location: StreamLocation | undefined;
  /** The last sequence of the stream when it was validated. */
  #validatedLast = 0;
  /** Whether the first offset of the epoch is known. */
  #isBaseKnown = false;
  #session: StreamSession | undefined;
  /** The state that the observer has: the reason of the disconnection; undefined = connected. */
  #reportedReason: string | undefined = "";
  #hasReadKeys = false;
  #isClosed = false;
  #followLoop: Promise<void> = Promise.resolve();
  #resolveWarm: () => void = () => {};

  constructor(options: ClusterBusOptions) {
    this.#options = options;
    this.#publisher = new StreamPublisher(options.clock, options.name, options.refused);
    const { clock, history } = options;
    const taken = new TakenSequences(clock, () => history.last);
    this.#taken = taken;
    this.#keyedPublisher = new KeyedStreamPublisher({
      ...{ clock, history, taken },
      publish: (draft) => this.#publisher.publish(draft),
    });
    this.#removalWorker = new RemovalWorker({
      ...options,
      newId: () => this.#publisher.newId(),
      taken: (sequence) => taken.waitFor(sequence),
      warn: (warning) => this.#warn("removal", warning),
    });
    this.#warningThrottle = new Throttle(options.clock, WARNING_INTERVAL_MS);
    this.#retrySleep = new CancellableSleep(options.clock);
    this.#validator = new StreamValidator({ ...options, onRollback: (warning) => this.#warn("rolled back", warning) });
  }

  get epoch(): string {
    return this.#options.history.epoch;
  }

  /** The newest message that this daemon has taken; undefined before the stream was validated. */
  get location(): StreamLocation | undefined {
    return this.#location;
  }

  /**
   * Begins to follow the stream; resolves when the history can be served. With `known`, the location of the previous process, it
   * resolves after `timeoutMs` at the latest: the daemon then serves what it has, and follows from there once NATS is back.
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
    if (!this.#deliver || this.#isClosed) return rejectNotTaking();
    const { storedKey } = draft;
    return storedKey ? this.#keyedPublisher.publish({ ...draft, storedKey }) : this.#publisher.publish(draft);
  }

  post(draft: Draft): Promise<Publication> {
    return this.publish(draft);
  }

  publishAll(drafts: readonly Draft[]): Promise<readonly PublishedEvent[]> {
    return Promise.all(spreadKey(drafts).map((draft) => this.publish(draft).catch(eventError)));
  }

  /** Resolves when this daemon has taken the record: then nobody gets from it what was removed. */
  async remove(removal: Removal): Promise<Publication> {
    if (!this.#deliver || this.#isClosed) return rejectNotTaking();
    const publication = await this.#publisher.remove(removal);
    if (!(await this.#taken.waitFor(publication.offset)))
      throw new M2pushError("unavailable", "the stream has stored the removal, and did not deliver it yet");
    this.#removalWorker.published(publication.offset);
    return publication;
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

  /** Never rejects; resolves after close(). */
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

  /** Follows the stream until the session ends; rejects with the reason. */
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
        if (closeReason === undefined) this.#warn("following", `recreated the JetStream consumer: ${why}`);
        await this.#retrySleep.for(RETRY_MS.first);
      }
      throw new M2pushError("unavailable", closeReason ?? "closed");
    } finally {
      await session.close();
    }
  }

  /** Resolves with the reason why the consumer ended. */
  async #follow(session: StreamSession, closed: Promise<string>, succeeded: () => void): Promise<string> {
    const { clock, history } = this.#options;
    let end: (why: string) => void = () => {};
    const ended = new Promise<string>((resolve) => {
      end = resolve;
    });
    await this.#readKeys(session);
    const holes = this.#holeCheck(session, (message) => this.#takeMessage(message, end), end);
    const consumer = await session.follow(history.last + 1, (message) => holes.take(message), end);
    const inspect = async () => {
      const state = await this.#inspect(session, consumer);
      if (typeof state === "string") end(state);
      else if (this.#stallDetector.isStalled(history.last, state.last)) end("it had stalled");
      this.#removalWorker.check();
    };
    const stopWatching = clock.every(INSPECT_INTERVAL_MS, () => void inspect().catch((error) => end(messageOf(error))));
    try {
      // The stream could have been replaced after it was validated.
      const state = await this.#inspect(session, consumer);
      if (typeof state === "string") return state;
      this.#connected(session);
      succeeded();
      return await Promise.race([ended, closed]);
    } finally {
      stopWatching();
      holes.stop();
      consumer.stop();
    }
  }

  #holeCheck(session: StreamSession, take: (message: StreamMessage) => void, failed: (why: string) => void): HoleCheck {
    const { history } = this.#options;
    const inspect = async () => {
      const state = await session.inspect();
      if (state?.epoch !== history.epoch) throw new M2pushError("unavailable", "the stream was replaced");
      await history.inspected(session, state);
    };
    return new HoleCheck({ last: () => history.last, take, inspect, failed });
  }

  /** Once: later, the daemon takes every message itself. */
  async #readKeys(session: StreamSession): Promise<void> {
    const { clock, history } = this.#options;
    if (this.#hasReadKeys) return;
    await readKeys(session, clock, { after: history.floor, through: history.last }, (message) => {
      const publication = message.epoch === history.epoch ? decodeStreamRecord(message, message.epoch) : undefined;
      if (typeof publication !== "object" || !publication.storedKey) return;
      const { storedKey, offset, time } = publication;
      if (!history.keys.find(storedKey.hash, time)) history.keys.add(storedKey, message.epoch, offset, time);
    });
    this.#hasReadKeys = true;
  }

  /** Updates the history's view of the stream; a text says why this stream must not be followed any more. */
  async #inspect(session: StreamSession, { leader }: StreamConsumer): Promise<StreamState | string> {
    const { history } = this.#options;
    const { last } = history;
    const state = await session.inspect();
    if (state?.epoch !== history.epoch) return "the stream was replaced";
    if (state.leader !== leader) return "another server leads the stream";
    this.#validator.confirm(last);
    await history.inspected(session, state);
    this.#keyedPublisher.inspected(state.last);
    return state;
  }

  #connected(session: StreamSession): void {
    const { history, nodes } = this.#options;
    history.connect(session);
    nodes.connect(session);
    this.#publisher.connect(session, history.epoch);
    this.#keyedPublisher.connected();
    this.#removalWorker.connect(session);
    this.#reportConnection(undefined);
    if (history.last >= this.#validatedLast) this.#resolveWarm();
  }

  #disconnected(why: string): void {
    if (this.#isClosed) return;
    this.#options.history.connect(undefined);
    this.#options.nodes.connect(undefined);
    this.#publisher.disconnect(why);
    this.#keyedPublisher.disconnected();
    this.#removalWorker.connect(undefined);
    this.#reportConnection(why);
  }

  #reportConnection(why: string | undefined): void {
    if (this.#reportedReason === why) return;
    this.#reportedReason = why;
    this.#options.changed(why);
  }

  /** Applies the state of a stream that was validated. */
  async #adoptState(session: StreamSession, state: StreamState): Promise<void> {
    const { history, warmupMessages = WARMUP_MESSAGES } = this.#options;
    const [isFirst, isNew] = [!this.#location, this.#location?.epoch !== state.epoch];
    if (state.differs) this.#warn("limits", state.differs);
    this.#validatedLast = state.last;
    if (isNew || !this.#isBaseKnown) {
      const { mark, records } = await readRemovals(session, state.epoch, state.last);
      const base = floorBefore((await session.find(state.epoch)) ?? state.last + 1, mark);
      const last = isFirst ? Math.max(base, state.last - warmupMessages) : base;
      if (isNew) this.#startEpoch({ epoch: state.epoch, last, stamp: "" });
      history.beginRemovals(mark, records);
      if ((await session.find(state.epoch, FINALS_KEY, "newest")) !== undefined) history.noteFinal();
      history.setBase(base);
      this.#isBaseKnown = true;
    }
    await history.inspected(session, state);
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
    if (sequence > history.last + 1 && history.floor > history.last)
      this.#reportLost(Math.min(history.floor, sequence - 1));
    const publication = isOurs ? decodeStreamRecord(message, epoch) : "it is of another epoch";
    this.#location = { epoch: history.epoch, last: sequence, stamp };
    this.#validator.noteTaken(message);
    if (typeof publication === "string") this.reportForeignMessage(sequence, publication);
    else if (!publication) this.#takeNote(message);
    else if (!history.keys.isRepeat(publication, epoch)) this.#deliverOne(publication);
    history.skip(sequence);
    this.#taken.taken(sequence);
    if (sequence >= this.#validatedLast) this.#resolveWarm();
  }

  #takeNote({ data }: StreamMessage): void {
    const mark = decodeMark(data);
    if (!mark) return;
    this.#options.history.noteRemovals(mark);
    this.#removalWorker.marked();
  }

  /** Before start(), nothing is sent. */
  #deliverOne(publication: Publication): void {
    if (this.#deliver) void this.#deliver([publication]);
    else this.#options.history.append(publication);
  }

  /** The stream trimmed everything up to an offset before this daemon took it. */
  #reportLost(through: number): void {
    const { history } = this.#options;
    history.markLost(through);
    this.#location = { epoch: history.epoch, last: through, stamp: "" };
    if (this.#deliver) this.#notifyGap("expired");
  }

  /** Another program has written to the stream. */
  reportForeignMessage(sequence: number, why: string): void {
    this.#warn("foreign", `skipped message ${sequence} of the stream: ${why}`);
  }

  #warn(kind: "following" | "limits" | "rolled back" | "foreign" | "removal", warning: string): void {
    if (this.#isClosed) return;
    this.#warningThrottle.run(kind, (suppressed) => {
      this.#options.warn(suppressed > 0 ? `${warning} (and ${suppressed} more of this kind)` : warning);
    });
  }
}

const rejectNotTaking = () =>
  Promise.reject(new M2pushError("unavailable", "the daemon is not taking publications: it is starting or stopping"));
