/** A client of the model, which connects again with the id of the last event that it has got. */
import assert from "node:assert/strict";
import { type Interest, onlyTopicOf } from "../../../src/matching/interest.js";
import type { StateKind } from "./commands.js";
import type { ModelEvent, Place, World } from "./world.js";

interface State {
  readonly kind: StateKind;
  readonly count: number;
  readonly since: number;
}

interface Period {
  readonly after: number;
  readonly interest: Interest;
}

const selects = ({ selectors }: Interest, { topics }: ModelEvent) =>
  selectors.some((it) => it.kind !== "exact" || topics.includes(it.value));

const isFor = (interest: Interest, event: ModelEvent): boolean =>
  selects(interest, event) && (!event.isPrivate || interest.grants.length > 0);

const offsetOf = ({ offset = 0 }: ModelEvent): number => offset;

export class ModelClient {
  readonly number: number;
  readonly address: Interest;
  readonly #world: World;
  place: Place | undefined;
  connection = 0;
  lastEventId: string | undefined;
  /** What it selects, and from which offset on. */
  readonly periods: Period[] = [];
  state: State | undefined;
  /** What its state may consist of. */
  readonly #allowed = new Set<ModelEvent>();
  #stateAtOpening: readonly ModelEvent[] = [];
  /** The position at which its present connection began: its state is up to there. */
  #join = 0;
  /** Everything up to this offset is its own, was sent, or was reported as missing. */
  #through = 0;
  readonly #received = new Set<ModelEvent>();
  #highest = 0;
  /** What earlier connections had to give it. `isState`: while it was stored. */
  readonly #owed: { readonly event: ModelEvent; readonly isState: boolean }[] = [];
  /** Its one topic has ended, and it does not come back. */
  hasStopped = false;

  constructor(world: World, number: number, address: Interest) {
    this.#world = world;
    this.number = number;
    this.address = address;
  }

  get #name(): string {
    const { interest } = this.periods.at(-1) ?? { interest: this.address };
    return `client ${this.number} of ${interest.selectors.map((it) => (it.kind === "exact" ? it.value : "*")).join(", ")}`;
  }

  opened(place: Place, connection: number, last: number, state: State | undefined): void {
    const cursor = this.lastEventId === undefined ? undefined : this.#world.offsetOf(this.lastEventId);
    if (cursor !== undefined) this.#owe(cursor);
    Object.assign(this, { place, connection, state });
    this.periods.splice(0, this.periods.length, { after: 0, interest: this.address });
    this.#join = last;
    this.#through = cursor ?? last;
    this.#allowed.clear();
    this.#stateAtOpening = state ? this.#stateNow() : [];
    this.noteState();
  }

  left(): void {
    Object.assign(this, { place: undefined, connection: 0 });
  }

  /** Its node has closed its stream, which is right only where its topic has ended. */
  closed(): void {
    assert.ok(this.#mayHaveEnded, `${this.#name} was closed, although its topic has not ended`);
    this.left();
  }

  /** Its topic has ended at this offset, and it knows. */
  stop(end: number): void {
    this.#owe(end);
    this.hasStopped = true;
    const cursor = this.lastEventId === undefined ? undefined : this.#world.offsetOf(this.lastEventId);
    assert.ok((cursor ?? 0) >= end, `${this.#name} was stopped before it had everything`);
  }

  /** The final event may be removed or expire while the stream is closed: one that counts for either is enough. */
  get #mayHaveEnded(): boolean {
    const { place, periods } = this;
    const interest = periods.at(-1)?.interest;
    const topic = interest && onlyTopicOf(interest);
    if (!place || !interest || topic === undefined) return false;
    const isSeen = (it: ModelEvent) => !it.isPrivate || interest.grants.length > 0;
    const newest = this.#world.newestOf(topic, place, isSeen);
    return (
      newest?.isFinal === true ||
      this.#world.events.some((it) => it.isFinal && it.topics.includes(topic) && (it.hasTtl || it.mayBeRemoved))
    );
  }

  /** A gap: what is missing up to here was reported. */
  told(offset: number): void {
    this.#through = Math.max(this.#through, offset);
    this.#owed.splice(0, this.#owed.length, ...this.#owed.filter(({ event }) => offsetOf(event) > offset));
    this.#stateAtOpening = this.#stateAtOpening.filter((event) => offsetOf(event) > offset);
  }

  received(event: ModelEvent | undefined): void {
    assert.ok(event?.offset !== undefined && this.place, `${this.#name} got an event that was not published`);
    const told = `event ${event.number} at ${event.offset} to ${this.#name}`;
    assert.ok(event.offset > this.#highest, `${told} twice, or out of order`);
    assert.ok(event.expiresAt > this.#world.backend.clock.now(), `${told} after its expiry`);
    assert.ok(!this.place.removed.has(event), `${told} after its removal`);
    if (this.state && event.offset <= this.#join) {
      this.noteState();
      assert.ok(this.#allowed.has(event), `${told} is not part of its ${this.state.kind}`);
    } else assert.ok(this.#isWanted(event), `${told} is foreign`);
    this.#highest = event.offset;
    this.#received.add(event);
  }

  #isWanted(event: ModelEvent): boolean {
    const period = this.periods.findLast(({ after }) => after < offsetOf(event));
    return period !== undefined && isFor(period.interest, event);
  }

  /** What it may be given changes when events are removed or expire. */
  noteState(): void {
    if (this.state && this.place) for (const event of this.#stateNow()) this.#allowed.add(event);
  }

  #stateNow(): ModelEvent[] {
    const { place, state, address } = this;
    if (!place || !state) return [];
    const now = this.#world.backend.clock.now();
    const shown = this.#world.events
      .filter((it) => it.offset !== undefined && it.offset <= this.#join && isFor(address, it))
      .filter((it) => !place.removed.has(it) && it.expiresAt > now)
      .sort((one, other) => offsetOf(one) - offsetOf(other));
    if (state.kind === "since") return shown.filter(({ time }) => time >= state.since);
    if (state.kind === "last") return shown.slice(-state.count);
    const topics = this.#world.topics.filter((topic) =>
      address.selectors.some((it) => it.kind !== "exact" || it.value === topic),
    );
    const newest = new Set(topics.map((topic) => shown.findLast((it) => it.topics.includes(topic))));
    return shown.filter((it) => newest.has(it));
  }

  /** What it must have got up to an offset. */
  #owe(through: number): void {
    const owe = (event: ModelEvent, isState: boolean) => {
      if (offsetOf(event) <= through && !this.#received.has(event)) this.#owed.push({ event, isState });
    };
    for (const event of this.#stateAtOpening) owe(event, true);
    for (const event of this.#world.events)
      if (event.offset !== undefined && event.offset > this.#through && this.#isWanted(event)) owe(event, false);
  }

  /** Nothing that it must have got may be missing. */
  finish(isStored: (event: ModelEvent) => boolean): void {
    if (!this.hasStopped) this.#owe(Number.POSITIVE_INFINITY);
    const missing = this.#owed.filter(
      ({ event, isState }) =>
        !event.hasTtl && !event.mayBeRemoved && !this.#received.has(event) && (!isState || isStored(event)),
    );
    assert.deepEqual(
      missing.map(({ event }) => `event ${event.number} at ${event.offset}`),
      [],
      `${this.#name} misses events`,
    );
    if (!this.place) return;
    const { interest } = this.periods.at(-1) as Period;
    const topic = onlyTopicOf(interest);
    if (topic === undefined) return;
    const isSeen = (it: ModelEvent) => !it.isPrivate || interest.grants.length > 0;
    const newest = this.#world.newestOf(topic, this.place, isSeen);
    const hasEnded = newest?.isFinal === true && isStored(newest);
    assert.ok(!hasEnded, `${this.#name} is open, although its topic has ended with event ${newest?.number}`);
  }
}
