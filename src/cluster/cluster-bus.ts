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
import { decodeRecord } from "./stream-record.js";
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
const RETRY = { first: 100, last: 3000 };
/** How often the stream is looked at while it is followed, milliseconds: for its size, and for what its consumer does not say. */
const LOOK_EVERY = 2000;
/** Messages read before the first is served, so that those who come back find the newest in memory. */
const WARM = 20_000;
/** The same warning again after this long, milliseconds. */
const WARN_EVERY = 60_000;
/** How long a stop waits for acknowledgements, milliseconds. */
const LAST_PATIENCE = 2000;

export class ClusterBus implements Bus {
  readonly #options: ClusterBusOptions;
  readonly #publisher: StreamPublisher;
  readonly #survey: StreamValidator;
  readonly #standstill = new StallDetector();
  readonly #warnings: Throttle;
  readonly #pause: CancellableSleep;
  #deliver: Deliver | undefined;
  #interrupted: (reason: GapReason) => void = () => {};
  #place: StreamLocation | undefined;
  /** What the stream ended with when it was last surveyed. */
  #surveyed = 0;
  /** Whether it is known where the epoch begins. */
  #isBased = false;
  #session: StreamSession | undefined;
  /** What was last said of the session: why there is none, or undefined = it is there. */
  #told: string | undefined = "";
  #isClosed = false;
  #running: Promise<void> = Promise.resolve();
  #warmed: () => void = () => {};

  constructor(options: ClusterBusOptions) {
    this.#options = options;
    this.#publisher = new StreamPublisher(options.clock, options.name, options.refused);
    this.#warnings = new Throttle(options.clock, WARN_EVERY);
    this.#pause = new CancellableSleep(options.clock);
    this.#survey = new StreamValidator({ ...options, rolledBack: (warning) => this.#warn("rolled back", warning) });
  }

  get epoch(): string {
    return this.#options.history.epoch;
  }

  /** Where this daemon stands; undefined before it knows. */
  get place(): StreamLocation | undefined {
    return this.#place;
  }

  /**
   * Begins to follow; resolves when the history can be served. `known`: where this daemon stood when it last ran; with that it
   * resolves after `patience` milliseconds in any case, serves what it can, and goes on from there when NATS is back.
   */
  async open(known: StreamLocation | undefined, patience: number): Promise<void> {
    const warmed = new Promise<void>((resolve) => {
      this.#warmed = resolve;
    });
    this.#running = this.#run(known);
    if (!known) return warmed;
    await waitAtMost(this.#options.clock, patience, warmed);
    if (!this.#place) this.#begin(known);
  }

  async start(deliver: Deliver, interrupted: (reason: GapReason) => void = () => {}): Promise<void> {
    this.#deliver = deliver;
    this.#interrupted = interrupted;
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
    await waitAtMost(this.#options.clock, LAST_PATIENCE, this.#publisher.settled());
    this.#publisher.close();
    this.#options.nodes.close();
    this.#pause.cancel();
    this.#warmed();
    await this.#session?.close();
    await this.#running;
    this.#deliver = undefined;
  }

  /** Never rejects: ends with close(). */
  async #run(known: StreamLocation | undefined): Promise<void> {
    const { dial } = this.#options;
    const wait = backoff(RETRY.first, RETRY.last);
    while (!this.#isClosed) {
      try {
        this.#session = await dial();
        await this.#serve(this.#session, known, wait.reset);
      } catch (error) {
        this.#down(textOf(error));
      }
      await this.#pause.for(wait.next());
    }
  }

  /** Follows the stream as long as the session lasts. Rejects with why it is over. */
  async #serve(session: StreamSession, known: StreamLocation | undefined, succeeded: () => void): Promise<void> {
    let over: string | undefined;
    const closed = session.closed.then((why) => {
      over = why;
      return why;
    });
    try {
      while (!this.#isClosed && over === undefined) {
        await this.#enter(session, await this.#survey.of(session, this.#place ?? known));
        const why = await this.#follow(session, closed, succeeded);
        if (over === undefined) this.#warn("following", `the stream is followed anew: ${why}`);
        await this.#pause.for(RETRY.first);
      }
      throw new M2pushError("unavailable", over ?? "closed");
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
    const following = await session.follow(history.last + 1, (message) => this.#take(message, end), end);
    const look = async () => {
      const state = await this.#look(session, following);
      if (typeof state === "string") end(state);
      else if (this.#standstill.at(history.last, state.last)) end("its consumer stood still");
    };
    const watch = clock.every(LOOK_EVERY, () => void look().catch((error) => end(textOf(error))));
    try {
      // Once more: it could have been replaced after the survey.
      const state = await this.#look(session, following);
      if (typeof state === "string") return state;
      this.#up(session);
      succeeded();
      return await Promise.race([ended, closed]);
    } finally {
      watch();
      following.stop();
    }
  }

  /** Takes over what the stream holds; a text when it is another than is followed. */
  async #look(session: StreamSession, { leader }: StreamConsumer): Promise<StreamState | string> {
    const { history } = this.#options;
    const { last } = history;
    const state = await session.look();
    if (state?.epoch !== history.epoch) return "the stream was replaced";
    if (state.leader !== leader) return "another server leads the stream";
    this.#survey.confirm(last);
    history.measured(state);
    return state;
  }

  #up(session: StreamSession): void {
    const { history, nodes } = this.#options;
    history.connect(session);
    nodes.connect(session);
    this.#publisher.up(session, history.epoch);
    this.#tell(undefined);
    if (history.last >= this.#surveyed) this.#warmed();
  }

  #down(why: string): void {
    if (this.#isClosed) return;
    this.#options.history.connect(undefined);
    this.#options.nodes.connect(undefined);
    this.#publisher.down(why);
    this.#tell(why);
  }

  #tell(why: string | undefined): void {
    if (this.#told === why) return;
    this.#told = why;
    this.#options.changed(why);
  }

  /** Takes over what a survey has found. */
  async #enter(session: StreamSession, state: StreamState): Promise<void> {
    const { history } = this.#options;
    const [isFirst, isNew] = [!this.#place, this.#place?.epoch !== state.epoch];
    if (state.differs) this.#warn("limits", state.differs);
    this.#surveyed = state.last;
    if (isNew || !this.#isBased) {
      const base = ((await session.find(state.epoch)) ?? state.last + 1) - 1;
      if (isNew)
        this.#begin({ epoch: state.epoch, last: isFirst ? Math.max(base, state.last - WARM) : base, stamp: "" });
      history.begins(base);
      this.#isBased = true;
    }
    history.measured(state);
    if (isNew && !isFirst) this.#interrupted("unknown");
    else if (history.last < history.floor) this.#lose(history.floor);
  }

  #begin(place: StreamLocation): void {
    this.#options.history.begin(place.epoch, place.last);
    this.#place = place;
  }

  #take(message: StreamMessage, end: (why: string) => void): void {
    const { history } = this.#options;
    const { sequence, epoch, stamp } = message;
    if (sequence <= history.last) return;
    const isOurs = epoch === history.epoch;
    if (!isOurs && sequence > this.#surveyed) {
      end("the stream has another epoch");
      return;
    }
    if (sequence > history.last + 1) this.#lose(sequence - 1);
    const publication = isOurs ? decodeRecord(message, epoch) : "it is of another epoch";
    this.#place = { epoch: history.epoch, last: sequence, stamp };
    this.#survey.took(message);
    if (typeof publication === "string") this.foreign(sequence, publication);
    else if (publication && this.#deliver) void this.#deliver(publication);
    else if (publication) history.append(publication);
    history.skip(sequence);
    if (sequence >= this.#surveyed) this.#warmed();
  }

  /** Everything up to an offset was trimmed before we could take it. */
  #lose(through: number): void {
    const { history } = this.#options;
    history.lose(through);
    this.#place = { epoch: history.epoch, last: through, stamp: "" };
    if (this.#deliver) this.#interrupted("expired");
  }

  /** Somebody else has written to the stream. */
  foreign(sequence: number, why: string): void {
    this.#warn("foreign", `message ${sequence} of the stream is left out: ${why}`);
  }

  #warn(kind: "following" | "limits" | "rolled back" | "foreign", warning: string): void {
    if (this.#isClosed) return;
    this.#warnings.run(kind, (suppressed) => {
      this.#options.warn(suppressed > 0 ? `${warning} (and ${suppressed} more of this kind)` : warning);
    });
  }
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
