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
 * A segment that begins because members wait need not begin with nothing: a window is what a client has decoded last, whichever way it was
 * encoded. What all members were sent since the last one joined (the tail) is in the windows of all, so the deflater is given that first. The
 * tail ends whenever something is sent to one member alone, or something that must not be referred to. A segment that begins because the last one
 * was long enough begins with nothing: then a member that has lost something is right again.
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
/** What is kept of the tail, bytes: more hardly makes bodies smaller, and giving it to the deflater takes time. */
const MAX_TAIL_BYTES = 2048;

/** What the deflater begins a segment with. */
type Start = "empty" | "tail";

/** Since a segment began with nothing: all that a window may hold. */
interface History {
  /** Clock.monotonic(). */
  readonly since: number;
  /** Before compression. */
  bytes: number;
}

export class CompressedAudience<M extends Member = Member> extends Audience<M> implements WindowOwner {
  override readonly isCompressed = true;
  readonly #compression: Compression;
  #window: Window | undefined;
  #riders = 0;
  /** Undefined = no segment has begun yet. */
  #history: History | undefined;
  /** What waiters were sent more than riders in this segment, bytes. */
  #waitedBytes = 0;
  /** The size of the last shared body. */
  #sharedBytes = 0;
  /** What all members were sent last, oldest first; empty while all ride. */
  #tail: Buffer[] = [];
  #tailBytes = 0;

  constructor(interest: Interest, base: string, outlet: Outlet, now: number, compression: Compression) {
    super(interest, base, outlet, now);
    this.#compression = compression;
  }

  /** Members that ride, which come first. */
  get riders(): number {
    return this.#riders;
  }

  // ---- Members --------------------------------------------------------------------------------------------------------

  override add(member: M): void {
    this.#endTail();
    super.add(member);
  }

  override remove(member: M): void {
    this.#unseat(member);
    super.remove(member);
    if (this.size === 0) this.#releaseWindow();
  }

  override removeAll(): M[] {
    this.#releaseWindow();
    return super.removeAll();
  }

  override leaveRide(member: M): void {
    if (member.slot < 0) return;
    this.#endTail();
    this.#unseat(member);
  }

  #unseat(member: M): void {
    if (member.slot < 0 || member.slot >= this.#riders) return;
    this.#riders--;
    this.exchange(member.slot, this.#riders);
  }

  /** Ends the segment of all. */
  #endSegment(): void {
    this.#riders = 0;
  }

  #endTail(): void {
    this.#tail = [];
    this.#tailBytes = 0;
  }

  // ---- Encoding -------------------------------------------------------------------------------------------------------

  override maxWireBytes(bytes: number): number {
    return maxEncodedBytes(bytes);
  }

  override opening(start: Buffer): Buffer {
    return encodeOpening(start);
  }

  override wire(plain: Buffer): Buffer {
    const mayBePrivate = this.interest.grants.length > 0;
    return this.#compression.aloneFor(plain, mayBePrivate);
  }

  override wireSent(clients: number, plainBytes: number, wireBytes: number): void {
    // A stored body is larger than a plain one, an own body is smaller.
    this.#compression.count(wireBytes < plainBytes ? "own" : "stored", clients, plainBytes, wireBytes);
  }

  /** The body for the riders; undefined = no member rides, and all must be sent the body alone. */
  ride(body: PlainBody): Buffer | undefined {
    const shared = this.#encode(body);
    if (!shared) this.#endSegment();
    this.#follow(body);
    return shared;
  }

  #encode(body: PlainBody): Buffer | undefined {
    const window = this.#windowFor(body);
    const start = this.#dueStart(body);
    if (!window || (start && !this.#restart(window, start))) return undefined;
    const shared = this.#compression.shared(window, body);
    if (!shared) return undefined;
    window.usedAt = this.#compression.clock.monotonic();
    if (start) this.#beginSegment(start);
    this.#rode(body, shared.length);
    return shared;
  }

  #restart(window: Window, start: Start): boolean {
    window.deflater.restart();
    return start === "empty" || this.#compression.prime(window, Buffer.concat(this.#tail));
  }

  #beginSegment(start: Start): void {
    this.#riders = this.size;
    this.#waitedBytes = 0;
    if (start === "empty") this.#history = { since: this.#compression.clock.monotonic(), bytes: 0 };
  }

  #rode({ bytes }: PlainBody, sharedBytes: number): void {
    if (this.#history) this.#history.bytes += bytes;
    this.#waitedBytes += (this.size - this.#riders) * Math.max(0, bytes - sharedBytes);
    this.#sharedBytes = sharedBytes;
    this.#compression.count("shared", this.#riders, bytes, sharedBytes);
    this.debitMembers(0, this.#riders, sharedBytes);
  }

  /** A body is sent to all members, to each in one way or another. */
  #follow(body: PlainBody): void {
    const isNeeded = this.#window !== undefined && this.#riders < this.size;
    if (!isNeeded || !this.#compression.permits(body.isPrivate) || body.bytes > MAX_TAIL_BYTES) {
      this.#endTail();
      return;
    }
    this.#tail.push(body.body());
    this.#tailBytes += body.bytes;
    while (this.#tailBytes > MAX_TAIL_BYTES) this.#tailBytes -= this.#tail.shift()?.length ?? 0;
  }

  /**
   * How a segment begins with this body; undefined = the last one goes on. Members have waited long enough when they have been sent as much more
   * as a new segment costs the riders (measured: with a tail about one shared body each, without one a plain body): that is at most twice the
   * bytes of the best moment.
   */
  #dueStart({ bytes, events }: PlainBody): Start | undefined {
    const { clock } = this.#compression;
    const history = this.#history;
    if (history && (history.bytes >= MAX_SEGMENT_BYTES || clock.monotonic() - history.since >= MAX_SEGMENT_MS))
      return "empty";
    const start = history && this.#tail.length > 0 ? "tail" : "empty";
    if (this.#riders === 0) return start;
    if (events === 0 || this.#riders === this.size) return undefined;
    const costBytes = start === "tail" ? this.#sharedBytes : bytes;
    return this.#waitedBytes >= this.#riders * costBytes ? start : undefined;
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
    this.#endTail();
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
