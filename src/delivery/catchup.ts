/**
 * Clients that catch up. A client that reconnects with a Last-Event-ID reads from the history, one body at a time, up to the offset from
 * which its audience goes on; there it becomes live in the same turn, so that no publication is lost or repeated. Clients of one audience
 * at the same cursor form a group: one read and one body serve them all. Clients that asked for a selection (selection.ts) are sent its events
 * first, in the same way.
 *
 * No copy of the stream is kept for a client that catches up: it costs its cursor.
 */

import type { Budget } from "../matching/match-budget.js";
import type { Clock } from "../util/clock.js";
import type { AddedReader } from "./added-reader.js";
import type { Audience } from "./audience.js";
import { type CatchupGroup, CatchupGroups, type CatchupPlace } from "./catchup-groups.js";
import { BEFORE_ALL, type Client } from "./client.js";
import type { ReadPage } from "./history-reader.js";
import { PageReader, type PageReaderOptions } from "./page-reader.js";
import type { GapReason } from "./reasons.js";
import type { Selecting } from "./selecting.js";
import type { SelectionReader } from "./selection-reader.js";
import type { AddedReplay, Transition, TransitionStep } from "./stream-control.js";

/** The next body of some clients, to be sent in the next flush. */
export interface CatchupStep {
  readonly clients: readonly Client[];
  /** Absent when none of the publications passed over is for them. */
  readonly body: Buffer | undefined;
  /** Publications in the body. */
  readonly events: number;
  /** The cursor of the clients after this step, and what is left of their selection. */
  readonly cursor: number;
  readonly selecting: Selecting | undefined;
  /** Whether they are live after this step. */
  readonly isLive: boolean;
  /** Of a client whose topics have changed: what it had to be sent first, and what is left of it. Absent = nothing. */
  readonly transition?: TransitionStep;
}

export interface CatchupOptions extends PageReaderOptions {
  readonly selections: SelectionReader;
  readonly added: Pick<AddedReader, "read">;
  /** Makes the event that tells a client that publications are lost, and from where its stream goes on. */
  readonly gap: (reason: GapReason, cursor: number, clients: Iterable<Client>) => Buffer;
  /** Makes the event that ends a selection: the position of the client. */
  readonly position: (cursor: number, isNamed: boolean) => Buffer;
  /** Makes the event that tells a client from which position its changed topics hold. */
  readonly topicsEvent: (notice: string, cursor: number) => Buffer;
  /** Called when takeSteps() can make progress again: a read has completed, or the time for the next slice has come. */
  readonly ready: () => void;
  readonly clock: Clock;
}

/** With less credit than this a client is not read for, bytes: many small bodies cost more than they deliver. */
const MIN_CREDIT_BYTES = 32_768;

/**
 * Matching per flush, in units of work of about 10 ns: 1 ms. Groups with patterns share it, and get slices of at least MIN_SLICE_UNITS;
 * groups without patterns may examine publications while the flush has bytes left, one unit for UNIT_BYTES. (Without a limit one client
 * with a hundred patterns of the worst kind and 10,000 stored events blocked the daemon for 42 s.)
 */
const MATCH_UNITS = 100_000;
const MIN_SLICE_UNITS = 5_000;
const UNIT_BYTES = 10;
/** Between two slices that produced no body: half of one processor is left for other work. */
const SLICE_PAUSE_MS = 1;

export class Catchup {
  readonly #options: CatchupOptions;
  readonly groups = new CatchupGroups();
  #size = 0;
  readonly #reader: PageReader;
  /** What this slice may still cost. */
  #slice: Budget = { left: 0 };
  #isPausing = false;

  constructor(options: CatchupOptions) {
    this.#options = options;
    this.#reader = new PageReader(options);
  }

  /** Clients that catch up. */
  get size(): number {
    return this.#size;
  }

  /**
   * The client has been sent everything up to the cursor of `place`, of its selection if it has one, and gets the rest from the history. It is
   * no member of its audience. `transition` precedes the rest.
   */
  add(client: Client, place: CatchupPlace, transition?: Transition): void {
    this.#size++;
    this.groups.put(client, place, transition);
  }

  /** Removes a client that catches up from its group. */
  remove(client: Client): void {
    if (this.groups.remove(client)) this.#size--;
  }

  /** All cursors are invalid: every client starts again before the oldest publication, and is told so. */
  rewind(): void {
    for (const { clients, transition } of this.groups.removeAll())
      for (const client of clients) this.groups.put(client, { cursor: BEFORE_ALL }, transition);
  }

  clear(): void {
    this.groups.removeAll();
    this.#size = 0;
  }

  /** Pages that were read may hold removed publications: they are read again. */
  forgetPages(): void {
    for (const group of this.groups) group.page = undefined;
  }

  /** Whether takeSteps() would make progress now. */
  hasWork(head: number): boolean {
    if (this.#size === 0) return false;
    for (const group of this.groups) {
      const isDue = group.transition !== undefined || group.cursor <= group.audience.joinOffset(head);
      if (isDue && !group.isReading && hasCredit(group)) return true;
    }
    return false;
  }

  /** Whether clients of an audience could make progress and are not live yet. */
  isBehind(audience: Audience<Client>): boolean {
    return [...this.groups.of(audience)].some((group) => !group.isReading && hasCredit(group));
  }

  /**
   * The next body of each group, in turn, until the flush is full. Called right after the flush has taken the bodies of live clients, so
   * that a client that has caught up becomes live between two bodies of its audience.
   */
  takeSteps(head: number): CatchupStep[] {
    const steps: CatchupStep[] = [];
    let bytesLeft = this.#options.flushBytes;
    let unitsLeft = MATCH_UNITS;
    let turnsLeft = this.groups.count;
    const share = Math.max(MIN_SLICE_UNITS, Math.floor(MATCH_UNITS / Math.max(1, turnsLeft)));
    for (const group of this.groups) {
      if (bytesLeft <= 0 || turnsLeft-- === 0) break;
      const { hasPatterns } = group.audience;
      if (group.isReading || (hasPatterns && unitsLeft <= 0) || !hasCredit(group)) continue;
      const units = hasPatterns ? Math.min(share, unitsLeft) : bytesLeft / UNIT_BYTES;
      this.#slice = { left: units };
      const step = this.#advance(group, head);
      const spent = units - this.#slice.left;
      if (hasPatterns) unitsLeft -= spent;
      else bytesLeft -= spent * UNIT_BYTES;
      if (!step) continue;
      steps.push(step);
      bytesLeft -= (step.body?.length ?? 0) * step.clients.length;
    }
    if (unitsLeft <= 0) this.#pause();
    return steps;
  }

  /** Work that did not fit into this slice goes on after a pause, even if no flush is sent in between. */
  #pause(): void {
    if (this.#isPausing) return;
    this.#isPausing = true;
    this.#options.clock.after(SLICE_PAUSE_MS, () => {
      this.#isPausing = false;
      this.#options.ready();
    });
  }

  /** The next step of one group: a body from the history, or joining its audience. */
  #advance(group: CatchupGroup, head: number): CatchupStep | undefined {
    const { history } = this.#options;
    const { clients } = group;
    const join = group.audience.joinOffset(head);
    if (group.transition) return this.#advanceTransition(group, group.transition, join);
    if (group.selecting) return this.#advanceSelection(group, group.selecting, join);
    if (group.cursor > join) return undefined; // ahead of its audience, for which publications that it has had are still queued
    if (group.cursor === join) return this.#step(group, { cursor: join }, join, []);
    if (group.cursor < history.floor) {
      const notice = this.#options.gap(group.cursor < 0 ? "unknown" : lossOf(group), history.floor, clients);
      return this.#step(group, { cursor: Math.min(history.floor, join) }, join, [notice]);
    }
    const page = group.page ?? this.#reader.read(group, join, this.#slice);
    if (page instanceof Promise) return this.#await(group, page);
    if (page.through === group.cursor && group.trial) return this.#continueLater(group);
    const chunks = this.#visible(page);
    if (page.isBroken) chunks.push(this.#options.gap(lossOf(group), page.through, clients));
    if (page.isUnavailable) chunks.push(this.#options.gap("unavailable", page.through, clients));
    return this.#step(group, { cursor: page.through }, join, chunks);
  }

  /** Ends with a position, and the client goes on from there like any other. */
  #advanceSelection(group: CatchupGroup, selecting: Selecting, join: number): CatchupStep | undefined {
    const { gap, position, selections } = this.#options;
    const page = group.page ?? selections.read(group, selecting, this.#slice);
    if (!page) return this.#continueLater(group);
    if (page instanceof Promise) return this.#await(group, page);
    if (page.isBroken) selecting.gap ??= lossOf(group);
    if (page.isUnavailable) selecting.gap ??= "unavailable";
    const chunks = this.#visible(page);
    const end = selecting.join;
    if (page.through < end) return this.#step(group, { cursor: page.through, selecting }, join, chunks);
    chunks.push(selecting.gap ? gap(selecting.gap, end, group.clients) : position(end, selecting.isNamed));
    return this.#step(group, { cursor: end }, join, chunks);
  }

  /** A page that had to be fetched, or waits for credit, was read earlier. */
  #visible({ publications }: ReadPage): Buffer[] {
    return publications.filter((it) => this.#options.history.isVisible(it)).map(({ bytes }) => bytes);
  }

  /** What added topics had before, then the event that tells of the change. In a new epoch everything is replayed anyway. */
  #advanceTransition(group: CatchupGroup, before: Transition, join: number): CatchupStep | undefined {
    const { history, gap, topicsEvent } = this.#options;
    const [added, ...others] = group.cursor < 0 ? [] : (before.added ?? []);
    if (!added) {
      const event = topicsEvent(before.notice, Math.max(0, group.cursor));
      return this.#step(group, group, join, [event], { before, after: undefined });
    }
    const left = (it: AddedReplay) => ({ ...before, added: it.after < group.cursor ? [it, ...others] : others });
    const lost = added.gap ?? (added.after < history.floor && !added.request ? "expired" : undefined);
    if (lost) {
      const after = left({ ...added, gap: undefined, after: Math.max(added.after, history.floor) });
      return this.#step(group, group, join, [gap(lost, group.cursor, group.clients)], { before, after });
    }
    const page = group.page ?? this.#options.added.read(group, added, this.#slice);
    if (!page || (!(page instanceof Promise) && page.through === added.after && group.trial))
      return this.#continueLater(group);
    if (page instanceof Promise) return this.#await(group, page);
    const chunks = this.#visible(page);
    const reason = page.isBroken ? lossOf(group) : page.isUnavailable ? "unavailable" : page.gap;
    if (reason) chunks.push(gap(reason, group.cursor, group.clients));
    return this.#step(group, group, join, chunks, { before, after: left({ ...added, after: page.through }) });
  }

  /** The slice was too small: the next one goes on. */
  #continueLater(group: CatchupGroup): undefined {
    this.#pause();
    this.groups.moveToEnd(group);
  }

  #await(group: CatchupGroup, page: Promise<ReadPage | undefined>): undefined {
    group.isReading = true;
    void page.then((read) => {
      group.isReading = false;
      group.page = read;
      this.#options.ready();
    });
  }

  /**
   * Moves the clients of a group that have credit for the body to another place, or into their audience where the cursor meets it. The
   * others stay.
   */
  #step(
    group: CatchupGroup,
    place: CatchupPlace,
    join: number,
    chunks: readonly Buffer[],
    transition?: TransitionStep,
  ): CatchupStep | undefined {
    const { cursor, selecting } = place;
    const plain = Buffer.concat(chunks);
    const body = plain.length > 0 ? group.audience.wire(plain) : undefined;
    const bytes = body?.length ?? 0;
    const clients = [...group.clients].filter((it) => it.creditAvailable >= Math.min(bytes, it.creditLimit));
    group.neededBytes = clients.length > 0 ? 0 : bytes;
    if (clients.length === 0) return undefined;
    if (body) group.audience.wireSent(clients.length, plain.length, bytes);
    const isLive = cursor === join && !selecting && !transition?.after;
    for (const client of clients) {
      client.debit(bytes);
      this.groups.take(group, client);
      if (isLive) this.#join(client);
      else this.groups.put(client, place, transition?.after).trial ??= group.trial;
    }
    if (group.clients.size === 0) this.groups.dropIfEmpty(group);
    else this.groups.moveToEnd(group);
    return { clients, body, events: chunks.length, cursor, selecting, isLive, ...(transition && { transition }) };
  }

  #join(client: Client): void {
    this.#size--;
    client.audience.add(client);
  }
}

/** Why a group has lost publications that are trimmed. */
const lossOf = ({ audience }: CatchupGroup): GapReason => (audience.isOverloading ? "overload" : "expired");

/**
 * Whether reading on for a group is worth it: one of its clients can take a body of fair size, or its whole credit limit, which one
 * publication may need.
 */
function hasCredit(group: CatchupGroup): boolean {
  const needed = Math.max(group.neededBytes, MIN_CREDIT_BYTES);
  for (const { creditAvailable, creditLimit } of group.clients)
    if (creditAvailable >= Math.min(creditLimit, needed)) return true;
  return false;
}
