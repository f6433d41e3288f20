/**
 * What this daemon publishes, on its way into the stream. Many are under way at a time, and their order is kept:
 *
 * - flowing: each is sent when it comes, up to WINDOW unacknowledged ones.
 * - probing: something is wrong (a refusal, an acknowledgement that does not come, another connection). The oldest is sent
 *   again, alone, until it is acknowledged; then all that follow it, in order, and it flows again. Each has an id by which the
 *   stream knows it, so what had arrived after all is not stored twice.
 *
 * One whose successor was acknowledged first is not sent again: it would come after it. It is refused instead, as everything is
 * that could not be acknowledged within PATIENCE; who published it may try again.
 */
import { M2pushError } from "../errors.js";
import { positionDraft } from "../protocol/position.js";
import type { Draft, Publication } from "../protocol/publication.js";
import type { Cancel, Clock } from "../util/clock.js";
import { Refusals } from "./refusals.js";
import { encodeProbe, encodeStreamRecord, keyOf, NO_ID } from "./stream-record.js";
import type { StreamSession } from "./stream-session.js";

/** Unacknowledged messages under way at most, and all that wait for an acknowledgement, and their bytes. */
const MAX_IN_FLIGHT_MESSAGES = 512;
const MAX_PENDING_MESSAGES = 20_000;
const MAX_PENDING_BYTES = 64_000_000;
/** How long a publish waits for its acknowledgement before it is refused, milliseconds. */
const ACKNOWLEDGE_TIMEOUT_MS = 5000;
/** An acknowledgement that takes longer than this is a sign that something is wrong. */
const SUSPECT_AFTER_MS = 1000;
/** How often the above are looked at, and how long after a refusal it is tried again. */
const CHECK_INTERVAL_MS = 250;

interface PendingPublication {
  readonly draft: Draft;
  readonly key: string;
  readonly id: string;
  readonly data: Buffer;
  readonly publishedAt: number;
  readonly resolve: (publication: Publication) => void;
  readonly reject: (error: M2pushError) => void;
  /** When it was sent last, in this connection; undefined = not yet. */
  sentAt: number | undefined;
  /** One that came later has been acknowledged. */
  isOvertaken: boolean;
}

export class StreamPublisher {
  readonly #clock: Clock;
  /** Begins the ids of this daemon's messages: nobody else's begin with it. */
  readonly #idPrefix: string;
  /** In the order in which they were published. */
  readonly #pending = new Set<PendingPublication>();
  #pendingBytes = 0;
  #messageCount = 0;
  #inFlightCount = 0;
  #isProbing = false;
  #session: StreamSession | undefined;
  #epoch = "";
  /** Since when there was no session, and why. */
  #disconnectedAt = Number.NEGATIVE_INFINITY;
  #reason = "NATS was not reached yet";
  #stopChecking: Cancel | undefined;
  #drainWaiters: (() => void)[] = [];

  readonly #refusals: Refusals;

  /** `refused`: see RefusalsOptions. */
  constructor(clock: Clock, name: string, refused: (why: string | undefined) => void) {
    this.#clock = clock;
    this.#idPrefix = name;
    this.#refusals = new Refusals({ clock, refused, probe: () => this.#sendProbe() });
  }

  /** From now on it is published here, what waits first. */
  connect(session: StreamSession, epoch: string): void {
    if (session === this.#session && epoch === this.#epoch) return;
    this.#session = session;
    this.#epoch = epoch;
    this.#startProbing();
  }

  disconnect(reason: string): void {
    if (this.#session) this.#disconnectedAt = this.#clock.monotonic();
    this.#session = undefined;
    this.#reason = reason;
    this.#markAllUnsent();
  }

  /** Nothing is under way any more, as far as anybody knows. */
  #markAllUnsent(): void {
    this.#inFlightCount = 0;
    this.#isProbing = this.#pending.size > 0;
    for (const pending of this.#pending) pending.sentAt = undefined;
  }

  #startProbing(): void {
    this.#markAllUnsent();
    this.#sendPending();
  }

  /** While publications wait, they are the probe. */
  #sendProbe(): Promise<void> | undefined {
    if (!this.#session || this.#pending.size > 0) return undefined;
    const id = `${this.#idPrefix}.${++this.#messageCount}`;
    return this.#session.send({ epoch: this.#epoch, key: NO_ID, id, data: encodeProbe() }).then(() => {});
  }

  /** Rejects with "unavailable" when it cannot be acknowledged, with "invalid" when its id is not to be had. */
  publish(draft: Draft): Promise<Publication> {
    return new Promise((resolve, reject) => {
      this.#check(draft);
      const id = `${this.#idPrefix}.${++this.#messageCount}`;
      const since = this.#clock.monotonic();
      const data = encodeStreamRecord(draft);
      const key = keyOf(draft.id);
      this.#pending.add({
        draft,
        key,
        id,
        data,
        publishedAt: since,
        resolve,
        reject,
        sentAt: undefined,
        isOvertaken: false,
      });
      this.#pendingBytes += data.length;
      this.#stopChecking ??= this.#clock.every(CHECK_INTERVAL_MS, () => this.#checkPending());
      if (!this.#isProbing) this.#sendPending();
    });
  }

  #check(draft: Draft): void {
    positionDraft(draft, this.#epoch, 0, 0);
    if (!this.#session && this.#clock.monotonic() - this.#disconnectedAt > ACKNOWLEDGE_TIMEOUT_MS)
      throw unavailable(this.#reason);
    if (this.#pending.size < MAX_PENDING_MESSAGES && this.#pendingBytes < MAX_PENDING_BYTES) return;
    throw unavailable("too many events wait for NATS to acknowledge them");
  }

  /** Sends what may be sent: all that the window has room for, or the oldest alone. */
  #sendPending(): void {
    if (!this.#session) return;
    for (const pending of this.#pending) {
      if (this.#inFlightCount >= (this.#isProbing ? 1 : MAX_IN_FLIGHT_MESSAGES)) return;
      if (pending.sentAt === undefined) this.#send(pending, this.#session, this.#epoch);
    }
  }

  #send(pending: PendingPublication, session: StreamSession, epoch: string): void {
    const { key, id, data } = pending;
    const sent = this.#clock.monotonic();
    const isProbe = this.#isProbing;
    pending.sentAt = sent;
    this.#inFlightCount++;
    session.send({ epoch, key, id, data }).then(
      (sequence) =>
        this.#acknowledged(pending, positionDraft(pending.draft, epoch, sequence, this.#clock.now()), isProbe),
      (error) => {
        // A refusal of an earlier sending says nothing of the present one.
        if (pending.sentAt === sent && session === this.#session && this.#pending.has(pending))
          this.#refused(pending, error);
      },
    );
  }

  #acknowledged(pending: PendingPublication, publication: Publication, isProbe: boolean): void {
    if (!this.#pending.has(pending)) return;
    for (const earlier of this.#pending) {
      if (earlier === pending) break;
      earlier.isOvertaken = true;
    }
    this.#remove(pending);
    pending.resolve(publication);
    this.#refusals.stored();
    if (isProbe) this.#isProbing = false;
    if (!this.#isProbing) this.#sendPending();
  }

  #refused(pending: PendingPublication, error: unknown): void {
    if (error instanceof M2pushError && error.code === "too_large") {
      this.#remove(pending);
      pending.reject(error);
      return;
    }
    this.#reason = error instanceof Error ? error.message : String(error);
    this.#refusals.refused(this.#reason);
    this.#inFlightCount--;
    pending.sentAt = undefined;
    // What is under way may yet be stored: the next look waits for it, and then tries again.
    this.#isProbing = true;
  }

  /** Refuses what must not be sent any more, and tries again what went wrong. */
  #checkPending(): void {
    const now = this.#clock.monotonic();
    const isLate = ({ sentAt: sent }: PendingPublication) => sent !== undefined && now - sent > SUSPECT_AFTER_MS;
    for (const pending of this.#pending) {
      const isOver = now - pending.publishedAt > ACKNOWLEDGE_TIMEOUT_MS;
      if (!isOver && !(pending.isOvertaken && (pending.sentAt === undefined || isLate(pending)))) break;
      this.#remove(pending);
      pending.reject(unavailable(this.#reason));
    }
    const [oldest] = this.#pending;
    if (!oldest || !this.#session) return;
    if (isLate(oldest)) {
      this.#reason = "NATS does not acknowledge";
      this.#refusals.refused(this.#reason);
      this.#startProbing();
    } else if (this.#isProbing && this.#inFlightCount === 0) this.#sendPending();
  }

  #remove(pending: PendingPublication): void {
    if (!this.#pending.delete(pending)) return;
    this.#pendingBytes -= pending.data.length;
    if (pending.sentAt !== undefined) this.#inFlightCount--;
    if (this.#pending.size > 0) return;
    this.#stopChecking?.();
    this.#stopChecking = undefined;
    for (const resolve of this.#drainWaiters.splice(0)) resolve();
  }

  /** Resolves when nothing waits for an acknowledgement: soon, as nothing waits for long. */
  drained(): Promise<void> {
    return this.#pending.size === 0 ? Promise.resolve() : new Promise((resolve) => this.#drainWaiters.push(resolve));
  }

  /** Refuses everything. */
  close(): void {
    this.disconnect("the daemon is stopping");
    this.#refusals.close();
    for (const pending of [...this.#pending]) {
      this.#remove(pending);
      pending.reject(unavailable(this.#reason));
    }
  }
}

function unavailable(why: string): M2pushError {
  return new M2pushError("unavailable", `the event was not acknowledged and may be lost: ${why}`);
}
