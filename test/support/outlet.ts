/**
 * An outlet without sockets: records the bytes of each connection, and passes a fence when the test says so. It enforces the limits of
 * Mongrel2 in the worst case: no address above maxTargets, and at most 16 messages to a connection before the writers run, which they do
 * only after a millisecond without a frame (P10).
 */
import assert from "node:assert/strict";
import type { Address, Outlet } from "../../src/delivery/outlet.js";
import type { FakeClock } from "./clock.js";

/** Mongrel2's DELIVER_OUTSTANDING_MSGS. */
const MAX_OUTSTANDING_COUNT = 16;

export class RecordingOutlet implements Outlet {
  readonly maxTargets: number;
  readonly received = new Map<number, string>();
  /** The same as bytes, a body each. */
  readonly bodies = new Map<number, Buffer[]>();
  readonly closed: number[] = [];
  readonly cancelled: number[] = [];
  readonly keptAlive: number[] = [];
  frames = 0;
  /** The size of the last announced flush, bytes. */
  prepared = 0;
  /** The largest number of undelivered messages that a connection ever had. */
  mostOutstanding = 0;
  readonly #outstanding = new Map<number, number>();
  #fences: (() => void)[] = [];

  readonly #clock: FakeClock;
  #lastFrameAt = 0;

  constructor(clock: FakeClock, maxTargets = 128) {
    this.#clock = clock;
    this.maxTargets = maxTargets;
  }

  address(ids: readonly number[]): Address {
    assert.ok(ids.length >= 1 && ids.length <= this.maxTargets, `an address of ${ids.length}`);
    return Buffer.from(ids.join(" "));
  }

  deliver(address: Address, body: Buffer): void {
    assert.ok(body.length > 0, "an empty body would close");
    this.frames++;
    if (this.#clock.monotonic() - this.#lastFrameAt >= 1) this.#outstanding.clear();
    this.#lastFrameAt = this.#clock.monotonic();
    for (const id of address.toString().split(" ").map(Number)) {
      this.received.set(id, (this.received.get(id) ?? "") + body.toString());
      const bodies = this.bodies.get(id);
      if (bodies) bodies.push(body);
      else this.bodies.set(id, [body]);
      const outstanding = (this.#outstanding.get(id) ?? 0) + 1;
      this.#outstanding.set(id, outstanding);
      this.mostOutstanding = Math.max(this.mostOutstanding, outstanding);
      assert.ok(outstanding <= MAX_OUTSTANDING_COUNT, `connection ${id} would have been killed`);
    }
  }

  prepare(bytes: number): void {
    this.prepared = bytes;
  }

  open(id: number, body: Buffer): void {
    this.deliver(this.address([id]), body);
  }

  close(ids: readonly number[]): void {
    this.closed.push(...ids);
  }

  cancel(ids: readonly number[]): void {
    this.cancelled.push(...ids);
  }

  keepAlive(ids: readonly number[]): void {
    this.keptAlive.push(...ids);
  }

  fence(passed: () => void): void {
    this.#fences.push(passed);
  }

  get pendingFences(): number {
    return this.#fences.length;
  }

  /** The link is lost: no pending fence passes. */
  dropFences(): void {
    this.#fences = [];
  }

  /** Passes the oldest fence; false when none is pending. */
  pass(): boolean {
    const passed = this.#fences.shift();
    if (!passed) return false;
    passed();
    return true;
  }

  /** Passes a fence, or advances the clock by 1 ms; false when no fence is pending then. */
  step(): boolean {
    if (this.pass()) return true;
    this.#clock.advance(1);
    return this.#fences.length > 0;
  }

  /** Steps until no fence is pending. */
  acknowledgeAll(): void {
    while (this.step());
  }

  /** The data of all events of a connection, in order, without the opening. */
  events(id: number): string[] {
    const text = (this.received.get(id) ?? "").replace(/^event: m2push-open\nid: .*\ndata: \{\}\n\n/gm, "");
    return [...text.matchAll(/^data: (.*)$/gm)].map(([, data]) => data ?? "");
  }
}
