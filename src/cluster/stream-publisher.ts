/**
 * Publishes this daemon's events to the stream, in order, several in flight at a time:
 *
 * - flowing: each event is sent at once, up to MAX_IN_FLIGHT_MESSAGES unacknowledged ones.
 * - probing: after a refusal, a late acknowledgement or a new session, the oldest event is sent again, alone, until it is
 *   acknowledged; then its successors follow in order. Each message has an id by which the stream finds duplicates, so an event
 *   that had arrived after all is not stored twice.
 *
 * An event whose successor was acknowledged first is not sent again, because it would be stored behind it. Its publish is rejected,
 * as is every one that is not acknowledged within ACKNOWLEDGE_TIMEOUT_MS; the publisher may try again.
 */
import { M2pushError, messageOf } from "../errors.js";
import type { PublishedEvent } from "../hub/bus.js";
import { positionDraft, positionRemoval } from "../protocol/position.js";
import type { Draft, Publication } from "../protocol/publication.js";
import type { Removal } from "../protocol/removal.js";
import type { Cancel, Clock } from "../util/clock.js";
import { Refusals } from "./refusals.js";
import {
  encodeFinalNote,
  encodeProbe,
  encodeStreamRecord,
  encodeStreamRemoval,
  FINALS_KEY,
  keyOf,
  NO_ID,
  REMOVALS_KEY,
} from "./stream-record.js";
import type { StreamSession } from "./stream-session.js";

/** Limits: unacknowledged messages in flight; pending publications, which include those; their bytes. */
const MAX_IN_FLIGHT_MESSAGES = 512;
const MAX_PENDING_MESSAGES = 20_000;
const MAX_PENDING_BYTES = 64_000_000;
/** A publish without an acknowledgement is rejected after this. */
const ACKNOWLEDGE_TIMEOUT_MS = 5000;
/** Without an acknowledgement for this long, the publisher probes. */
const SUSPECT_AFTER_MS = 1000;
/** How often pending publications are checked, and how long after a refusal the oldest is sent again. */
const CHECK_INTERVAL_MS = 250;

/** What is published: an event, a removal, or the note before a final event. */
interface UnpositionedRecord {
  readonly key: string;
  readonly data: Buffer;
  /** Throws "invalid" for an id that is reserved. */
  readonly position: (epoch: string, offset: number, time: number) => Publication;
  /** The only epoch that it may be stored in; absent = any. */
  readonly epoch?: string;
}

interface PendingPublication {
  readonly record: UnpositionedRecord;
  readonly id: string;
  readonly publishedAt: number;
  readonly resolve: (publication: Publication) => void;
  readonly reject: (error: M2pushError) => void;
  /** When it was last sent in this session; undefined = not yet. Monotonic, milliseconds. */
  sentAt: number | undefined;
  /** A later one has been acknowledged. */
  isOvertaken: boolean;
}

export class StreamPublisher {
  readonly #clock: Clock;
  /** Unique prefix of the ids of this daemon's messages. */
  readonly #idPrefix: string;
  /** In the order of publish(). */
  readonly #pending = new Set<PendingPublication>();
  #pendingBytes = 0;
  #messageCount = 0;
  #inFlightCount = 0;
  #isProbing = false;
  #session: StreamSession | undefined;
  #epoch = "";
  /** When the session ended, and why. */
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

  /** Publishes through this session from now on, pending publications first. */
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

  /** Whether the messages in flight were stored is unknown: all pending ones count as unsent. */
  #markAllUnsent(): void {
    this.#inFlightCount = 0;
    this.#isProbing = this.#pending.size > 0;
    for (const pending of this.#pending) pending.sentAt = undefined;
  }

  #startProbing(): void {
    this.#markAllUnsent();
    this.#sendPending();
  }

  /** Pending publications serve as probes themselves. */
  #sendProbe(): Promise<void> | undefined {
    if (!this.#session || this.#pending.size > 0) return undefined;
    const probe = { epoch: this.#epoch, key: NO_ID, id: this.newId(), data: encodeProbe() };
    return this.#session.send(probe).then(() => {});
  }

  /** Rejects with "unavailable" without an acknowledgement, and with "invalid" for an id that is reserved. */
  publish(draft: Draft): Promise<Publication> {
    const position: UnpositionedRecord["position"] = (...at) => positionDraft(draft, ...at);
    const { storedKey, final } = draft;
    if (final) this.#noteFinal(position);
    // A repeat with the same idempotency key and content has the same id, from whichever daemon it comes.
    const id = storedKey && `key.${storedKey.hash}.${storedKey.fingerprint}`;
    return this.#publish(() => ({ key: keyOf(draft.id), data: encodeStreamRecord(draft), position }), position, id);
  }

  /** So that a node which starts knows that there are final events, however long ago they were published. */
  #noteFinal(position: UnpositionedRecord["position"]): void {
    const note = { key: FINALS_KEY, data: encodeFinalNote(), position };
    this.#publish(() => note, position).catch(() => {}); // the event behind it is rejected as well
  }

  /** Rejects with "unavailable" without an acknowledgement, and when another epoch begins. */
  remove(removal: Removal): Promise<Publication> {
    const epoch = this.#epoch;
    const position: UnpositionedRecord["position"] = (...at) => positionRemoval(removal, ...at);
    const data = encodeStreamRemoval(removal, epoch);
    return this.#publish(() => ({ key: REMOVALS_KEY, data, position, epoch }), position);
  }

  /** `record` is called when it may be published. */
  #publish(
    record: () => UnpositionedRecord,
    position: UnpositionedRecord["position"],
    id = this.newId(),
  ): Promise<Publication> {
    return new Promise((resolve, reject) => {
      position(this.#epoch, 0, 0);
      this.#check();
      const publishedAt = this.#clock.monotonic();
      const pending = { record: record(), id, publishedAt, resolve, reject, sentAt: undefined, isOvertaken: false };
      this.#pending.add(pending);
      this.#pendingBytes += pending.record.data.length;
      this.#stopChecking ??= this.#clock.every(CHECK_INTERVAL_MS, () => this.#checkPending());
      if (!this.#isProbing) this.#sendPending();
    });
  }

  /** A new id of a message. */
  newId(): string {
    return `${this.#idPrefix}.${++this.#messageCount}`;
  }

  #check(): void {
    if (!this.#session && this.#clock.monotonic() - this.#disconnectedAt > ACKNOWLEDGE_TIMEOUT_MS)
      throw unavailable(this.#reason);
    if (this.#pending.size < MAX_PENDING_MESSAGES && this.#pendingBytes < MAX_PENDING_BYTES) return;
    throw unavailable("too many events wait for NATS to acknowledge them");
  }

  /** Sends unsent publications up to the in-flight limit, or the oldest alone while probing. */
  #sendPending(): void {
    if (!this.#session) return;
    for (const pending of this.#pending) {
      if (this.#inFlightCount >= (this.#isProbing ? 1 : MAX_IN_FLIGHT_MESSAGES)) return;
      if ((pending.record.epoch ?? this.#epoch) !== this.#epoch) this.#reject(pending, "a new epoch has begun");
      else if (pending.sentAt === undefined) this.#send(pending, this.#session, this.#epoch);
    }
  }

  #reject(pending: PendingPublication, why: string): void {
    this.#remove(pending);
    pending.reject(unavailable(why));
  }

  #send(pending: PendingPublication, session: StreamSession, epoch: string): void {
    const { record, id } = pending;
    const { key, data, position } = record;
    const sent = this.#clock.monotonic();
    const isProbe = this.#isProbing;
    pending.sentAt = sent;
    this.#inFlightCount++;
    session.send({ epoch, key, id, data }).then(
      (sequence) => this.#acknowledged(pending, position(epoch, sequence, this.#clock.now()), isProbe),
      (error) => {
        // The refusal of an earlier attempt does not count for the present one.
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
    this.#reason = messageOf(error);
    this.#refusals.refused(this.#reason);
    this.#inFlightCount--;
    pending.sentAt = undefined;
    // Messages in flight may yet be stored: checkPending() waits for them before it sends again.
    this.#isProbing = true;
  }

  /** Rejects overdue publications, and sends refused ones again. */
  #checkPending(): void {
    const now = this.#clock.monotonic();
    const isLate = ({ sentAt: sent }: PendingPublication) => sent !== undefined && now - sent > SUSPECT_AFTER_MS;
    for (const pending of this.#pending) {
      const isOver = now - pending.publishedAt > ACKNOWLEDGE_TIMEOUT_MS;
      if (!isOver && !(pending.isOvertaken && (pending.sentAt === undefined || isLate(pending)))) break;
      this.#reject(pending, this.#reason);
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
    this.#pendingBytes -= pending.record.data.length;
    if (pending.sentAt !== undefined) this.#inFlightCount--;
    if (this.#pending.size > 0) return;
    this.#stopChecking?.();
    this.#stopChecking = undefined;
    for (const resolve of this.#drainWaiters.splice(0)) resolve();
  }

  /** Resolves when no publication is pending: after ACKNOWLEDGE_TIMEOUT_MS at the latest. */
  drained(): Promise<void> {
    return this.#pending.size === 0 ? Promise.resolve() : new Promise((resolve) => this.#drainWaiters.push(resolve));
  }

  /** Rejects all pending publications. */
  close(): void {
    this.disconnect("the daemon is stopping");
    this.#refusals.close();
    for (const pending of [...this.#pending]) this.#reject(pending, this.#reason);
  }
}

/** What a batch reports of an event that was not stored. Throws a programmer's mistake again. */
export function eventError(error: unknown): PublishedEvent {
  if (error instanceof M2pushError) return { error };
  throw error;
}

function unavailable(why: string): M2pushError {
  return new M2pushError("unavailable", `the event was not acknowledged and may be lost: ${why}`);
}
