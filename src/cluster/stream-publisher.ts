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
import { encodeProbe, encodeRecord, keyOf, NO_ID } from "./stream-record.js";
import type { StreamSession } from "./stream-session.js";

/** Unacknowledged messages under way at most, and all that wait for an acknowledgement, and their bytes. */
const WINDOW = 512;
const MOST_WAITING = 20_000;
const MOST_BYTES = 64_000_000;
/** How long a publish waits for its acknowledgement before it is refused, milliseconds. */
const PATIENCE = 5000;
/** An acknowledgement that takes longer than this is a sign that something is wrong. */
const SUSPICION = 1000;
/** How often the above are looked at, and how long after a refusal it is tried again. */
const TICK = 250;

interface Pending {
  readonly draft: Draft;
  readonly key: string;
  readonly id: string;
  readonly data: Buffer;
  readonly since: number;
  readonly resolve: (publication: Publication) => void;
  readonly reject: (error: M2pushError) => void;
  /** When it was sent last, in this connection; undefined = not yet. */
  sent: number | undefined;
  /** One that came later has been acknowledged. */
  overtaken: boolean;
}

export class StreamPublisher {
  readonly #clock: Clock;
  /** Begins the ids of this daemon's messages: nobody else's begin with it. */
  readonly #name: string;
  /** In the order in which they were published. */
  readonly #pending = new Set<Pending>();
  #bytes = 0;
  #count = 0;
  #underway = 0;
  #probing = false;
  #session: StreamSession | undefined;
  #epoch = "";
  /** Since when there was no session, and why. */
  #downSince = Number.NEGATIVE_INFINITY;
  #why = "NATS was not reached yet";
  #tick: Cancel | undefined;
  #idle: (() => void)[] = [];

  readonly #refusals: Refusals;

  /** `refused`: see RefusalsOptions. */
  constructor(clock: Clock, name: string, refused: (why: string | undefined) => void) {
    this.#clock = clock;
    this.#name = name;
    this.#refusals = new Refusals({ clock, refused, probe: () => this.#sendProbe() });
  }

  /** From now on it is published here, what waits first. */
  up(session: StreamSession, epoch: string): void {
    if (session === this.#session && epoch === this.#epoch) return;
    this.#session = session;
    this.#epoch = epoch;
    this.#probe();
  }

  down(why: string): void {
    if (this.#session) this.#downSince = this.#clock.monotonic();
    this.#session = undefined;
    this.#why = why;
    this.#forgetSent();
  }

  /** Nothing is under way any more, as far as anybody knows. */
  #forgetSent(): void {
    this.#underway = 0;
    this.#probing = this.#pending.size > 0;
    for (const pending of this.#pending) pending.sent = undefined;
  }

  #probe(): void {
    this.#forgetSent();
    this.#pump();
  }

  /** While publications wait, they are the probe. */
  #sendProbe(): Promise<void> | undefined {
    if (!this.#session || this.#pending.size > 0) return undefined;
    const id = `${this.#name}.${++this.#count}`;
    return this.#session.send({ epoch: this.#epoch, key: NO_ID, id, data: encodeProbe() }).then(() => {});
  }

  /** Rejects with "unavailable" when it cannot be acknowledged, with "invalid" when its id is not to be had. */
  publish(draft: Draft): Promise<Publication> {
    return new Promise((resolve, reject) => {
      this.#check(draft);
      const id = `${this.#name}.${++this.#count}`;
      const since = this.#clock.monotonic();
      const data = encodeRecord(draft);
      const key = keyOf(draft.id);
      this.#pending.add({ draft, key, id, data, since, resolve, reject, sent: undefined, overtaken: false });
      this.#bytes += data.length;
      this.#tick ??= this.#clock.every(TICK, () => this.#look());
      if (!this.#probing) this.#pump();
    });
  }

  #check(draft: Draft): void {
    positionDraft(draft, this.#epoch, 0, 0);
    if (!this.#session && this.#clock.monotonic() - this.#downSince > PATIENCE) throw unavailable(this.#why);
    if (this.#pending.size < MOST_WAITING && this.#bytes < MOST_BYTES) return;
    throw unavailable("too many events wait for NATS to acknowledge them");
  }

  /** Sends what may be sent: all that the window has room for, or the oldest alone. */
  #pump(): void {
    if (!this.#session) return;
    for (const pending of this.#pending) {
      if (this.#underway >= (this.#probing ? 1 : WINDOW)) return;
      if (pending.sent === undefined) this.#send(pending, this.#session, this.#epoch);
    }
  }

  #send(pending: Pending, session: StreamSession, epoch: string): void {
    const { key, id, data } = pending;
    const sent = this.#clock.monotonic();
    const isProbe = this.#probing;
    pending.sent = sent;
    this.#underway++;
    session.send({ epoch, key, id, data }).then(
      (sequence) =>
        this.#acknowledged(pending, positionDraft(pending.draft, epoch, sequence, this.#clock.now()), isProbe),
      (error) => {
        // A refusal of an earlier sending says nothing of the present one.
        if (pending.sent === sent && session === this.#session && this.#pending.has(pending))
          this.#refused(pending, error);
      },
    );
  }

  #acknowledged(pending: Pending, publication: Publication, isProbe: boolean): void {
    if (!this.#pending.has(pending)) return;
    for (const earlier of this.#pending) {
      if (earlier === pending) break;
      earlier.overtaken = true;
    }
    this.#remove(pending);
    pending.resolve(publication);
    this.#refusals.stored();
    if (isProbe) this.#probing = false;
    if (!this.#probing) this.#pump();
  }

  #refused(pending: Pending, error: unknown): void {
    if (error instanceof M2pushError && error.code === "too_large") {
      this.#remove(pending);
      pending.reject(error);
      return;
    }
    this.#why = error instanceof Error ? error.message : String(error);
    this.#refusals.refused(this.#why);
    this.#underway--;
    pending.sent = undefined;
    // What is under way may yet be stored: the next look waits for it, and then tries again.
    this.#probing = true;
  }

  /** Refuses what must not be sent any more, and tries again what went wrong. */
  #look(): void {
    const now = this.#clock.monotonic();
    const isLate = ({ sent }: Pending) => sent !== undefined && now - sent > SUSPICION;
    for (const pending of this.#pending) {
      const isOver = now - pending.since > PATIENCE;
      if (!isOver && !(pending.overtaken && (pending.sent === undefined || isLate(pending)))) break;
      this.#remove(pending);
      pending.reject(unavailable(this.#why));
    }
    const [oldest] = this.#pending;
    if (!oldest || !this.#session) return;
    if (isLate(oldest)) {
      this.#why = "NATS does not acknowledge";
      this.#refusals.refused(this.#why);
      this.#probe();
    } else if (this.#probing && this.#underway === 0) this.#pump();
  }

  #remove(pending: Pending): void {
    if (!this.#pending.delete(pending)) return;
    this.#bytes -= pending.data.length;
    if (pending.sent !== undefined) this.#underway--;
    if (this.#pending.size > 0) return;
    this.#tick?.();
    this.#tick = undefined;
    for (const resolve of this.#idle.splice(0)) resolve();
  }

  /** Resolves when nothing waits for an acknowledgement: soon, as nothing waits for long. */
  settled(): Promise<void> {
    return this.#pending.size === 0 ? Promise.resolve() : new Promise((resolve) => this.#idle.push(resolve));
  }

  /** Refuses everything. */
  close(): void {
    this.down("the daemon is stopping");
    this.#refusals.close();
    for (const pending of [...this.#pending]) {
      this.#remove(pending);
      pending.reject(unavailable(this.#why));
    }
  }
}

function unavailable(why: string): M2pushError {
  return new M2pushError("unavailable", `the event was not acknowledged and may be lost: ${why}`);
}
