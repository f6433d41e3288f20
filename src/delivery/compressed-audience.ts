/**
 * An audience whose clients accept gzip: each of them is sent a deflate stream. Its window is the state of one deflater, which compresses each
 * body once for all members that have been sent every body since the window began.
 *
 *   rider   It was sent every shared body of this segment, and nothing else: it can decode the next one.
 *   waiter  It joined later, or was sent something alone. It gets bodies that need no window until the next segment begins.
 *
 * A rider must get every byte of its segment and nothing else. After one lost or inserted body it would decode thousands of later events into
 * wrong ones, many of them valid JSON, and no client would notice. So whatever is sent to one member alone makes it a waiter (leaveRide());
 * a client that leaves the audience comes back as a waiter; a body that cannot be shared ends the segment of all; and a segment is bounded in bytes and
 * time, whatever happens.
 *
 * Riders are the members below an index, so that a segment begins, or ends for all, with one assignment.
 */
import type { Interest } from "../matching/interest.js";
import { maxEncodedBytes } from "../protocol/gzip.js";
import { Audience, type Member } from "./audience.js";
import type { Compression, PlainBody } from "./compression.js";
import { encodeOpening } from "./encode-opening.js";
import type { Address, Outlet } from "./outlet.js";
import type { Window, WindowOwner } from "./windows.js";

/** A window pays from this number of members on; it is released below the second. */
const MIN_WINDOW_MEMBERS = 8;
const MIN_KEPT_WINDOW_MEMBERS = 4;
/** The longest segment: bytes before compression, and time. */
const MAX_SEGMENT_BYTES = 262_144;
const MAX_SEGMENT_MS = 300_000;

/** The present segment. */
interface Segment {
  /** Clock.monotonic(). */
  readonly since: number;
  /** Before compression. */
  bytes: number;
  /** What a restart costs a rider: about the first body again, bytes. */
  readonly restartBytes: number;
  /** What waiters were sent more than riders, bytes. */
  waitedBytes: number;
}

export class CompressedAudience<M extends Member = Member> extends Audience<M> implements WindowOwner {
  override readonly isCompressed = true;
  readonly #compression: Compression;
  #window: Window | undefined;
  /** Undefined = no member rides. */
  #segment: Segment | undefined;
  #riders = 0;

  constructor(interest: Interest, base: string, outlet: Outlet, now: number, compression: Compression) {
    super(interest, base, outlet, now);
    this.#compression = compression;
  }

  /** Members that ride, which come first. */
  get riders(): number {
    return this.#riders;
  }

  // ---- Members --------------------------------------------------------------------------------------------------------

  override remove(member: M): void {
    this.leaveRide(member);
    super.remove(member);
    if (this.size === 0) this.#releaseWindow();
  }

  override removeAll(): M[] {
    this.#releaseWindow();
    return super.removeAll();
  }

  override leaveRide(member: M): void {
    if (member.slot < 0 || member.slot >= this.#riders) return;
    this.#riders--;
    this.exchange(member.slot, this.#riders);
  }

  /** Ends the segment of all. */
  #endSegment(): void {
    this.#riders = 0;
    this.#segment = undefined;
  }

  // ---- Encoding -------------------------------------------------------------------------------------------------------

  override maxWireBytes(bytes: number): number {
    return maxEncodedBytes(bytes);
  }

  override opening(start: Buffer): Buffer {
    return encodeOpening(start);
  }

  override wire(plain: Buffer, clients: number): Buffer {
    const mayBePrivate = this.interest.grants.length > 0;
    return this.#compression.aloneFor(plain, mayBePrivate, clients);
  }

  /** The body for the riders; undefined = no member rides, and all must be sent the body alone. */
  ride(body: PlainBody): Buffer | undefined {
    const window = this.#windowFor(body);
    const isNew = this.#isSegmentDue(body);
    if (window && isNew) window.deflater.restart();
    const shared = window && this.#compression.shared(window, body);
    if (!window || !shared) {
      this.#endSegment();
      return undefined;
    }
    const now = this.#compression.clock.monotonic();
    window.usedAt = now;
    if (isNew) this.#beginSegment(now, shared.length);
    this.#rode(body, shared.length);
    return shared;
  }

  #beginSegment(now: number, restartBytes: number): void {
    this.#riders = this.size;
    this.#segment = { since: now, bytes: 0, restartBytes, waitedBytes: 0 };
  }

  #rode({ bytes }: PlainBody, sharedBytes: number): void {
    const segment = this.#segment as Segment;
    segment.bytes += bytes;
    segment.waitedBytes += (this.size - this.#riders) * Math.max(0, bytes - sharedBytes);
    this.#compression.count("shared", this.#riders, bytes, sharedBytes);
    this.debitMembers(0, this.#riders, sharedBytes);
  }

  /** A new one is due when waiters have been sent as much more as it costs the riders: at most twice the bytes of the best moment. */
  #isSegmentDue({ events }: PlainBody): boolean {
    const segment = this.#segment;
    if (segment === undefined || this.#riders === 0 || segment.bytes >= MAX_SEGMENT_BYTES) return true;
    if (events === 0) return false;
    if (segment.waitedBytes >= this.#riders * segment.restartBytes && this.#riders < this.size) return true;
    return this.#compression.clock.monotonic() - segment.since >= MAX_SEGMENT_MS;
  }

  /** A heartbeat goes through the window while members ride, and is no reason for a segment. */
  #windowFor({ isPrivate, events }: PlainBody): Window | undefined {
    if (!this.#compression.permits(isPrivate)) return undefined;
    if (events === 0 && this.#riders === 0) return undefined;
    if (this.size < (this.#window ? MIN_KEPT_WINDOW_MEMBERS : MIN_WINDOW_MEMBERS)) {
      this.#releaseWindow();
      return undefined;
    }
    this.#window ??= this.#compression.takeWindow(this);
    return this.#window;
  }

  windowLost(): void {
    this.#window = undefined;
    this.#endSegment();
  }

  #releaseWindow(): void {
    if (this.#window) this.#compression.releaseWindow(this);
    this.windowLost();
  }

  // ---- Addresses ------------------------------------------------------------------------------------------------------

  /** A body of this size is in flight to every waiter. */
  debitWaiters(bytes: number): void {
    this.debitMembers(this.#riders, this.size, bytes);
  }

  riderAddresses(): Address[] {
    return this.#riders === this.size ? this.addresses() : this.addressesBetween(0, this.#riders);
  }

  waiterAddresses(): Address[] {
    return this.#riders === 0 ? this.addresses() : this.addressesBetween(this.#riders, this.size);
  }
}
