/**
 * A state that is small and at hand is part of the opening: its events and the position leave in the message of the head, and the client is
 * live at once. So a stream with a few exact topics costs no flush and no fence of its own, and thousands that open at the same event share
 * their messages (mongrel2/stream-head-batcher.ts).
 */
import type { Clock } from "../util/clock.js";
import type { Audience } from "./audience.js";
import type { Client } from "./client.js";
import type { HistoryReader, ReadPage } from "./history-reader.js";
import type { Selecting } from "./selecting.js";
import type { SelectionReader } from "./selection-reader.js";

export interface StateOpeningsOptions {
  readonly selections: SelectionReader;
  readonly history: HistoryReader;
  readonly clock: Clock;
  /** Makes the event that ends a selection: the position of the client. */
  readonly position: (cursor: number, isNamed: boolean) => Buffer;
}

/** A larger state is sent by the catch-up. */
const MAX_STATE_BYTES = 16_000;
/** What one opening may look for and read, units of work (about 10 ns): 0.5 ms, about 80 events that are not in memory. */
const OPENING_UNITS = 50_000;
/** How long an answer is kept for further streams that open at the same event. */
const KEPT_MS = 50;

interface Known {
  readonly audience: Audience<Client>;
  readonly key: string;
  readonly madeAt: number;
  readonly publications: ReadPage["publications"];
  readonly bytes: Buffer;
}

export class StateOpenings {
  readonly #options: StateOpeningsOptions;
  #known: Known | undefined;

  constructor(options: StateOpeningsOptions) {
    this.#options = options;
  }

  /** The events of a client's selection and its position; undefined = the catch-up must send them. `headBytes`: what precedes them. */
  of(client: Client, selecting: Selecting, headBytes: number): Buffer | undefined {
    const known = this.#isKnown(client, selecting) ? this.#known : this.#make(client, selecting);
    this.#known = known;
    return known && known.bytes.length + headBytes <= client.creditAvailable ? known.bytes : undefined;
  }

  #isKnown({ audience }: Client, { key }: Selecting): boolean {
    const { history, clock } = this.#options;
    const known = this.#known;
    if (known?.audience !== audience || known.key !== key || clock.monotonic() - known.madeAt >= KEPT_MS) return false;
    return known.publications.every((it) => it.offset > history.floor && history.isVisible(it));
  }

  #make(client: Client, selecting: Selecting): Known | undefined {
    const { selections, clock, position } = this.#options;
    const { audience } = client;
    const reader = { audience, cursor: 0, clients: new Set([client]) };
    const page = selections.read(reader, selecting, { left: OPENING_UNITS }, true);
    if (page === undefined || page instanceof Promise) return undefined;
    const isWhole = page.through >= selecting.join && !page.isBroken && !page.isUnavailable && !selecting.gap;
    if (!isWhole) return undefined;
    const chunks = page.publications.map(({ bytes }) => bytes);
    const bytes = Buffer.concat([...chunks, position(selecting.join, selecting.isNamed)]);
    if (bytes.length > MAX_STATE_BYTES) return undefined;
    return { audience, key: selecting.key, madeAt: clock.monotonic(), publications: page.publications, bytes };
  }
}
