/**
 * Where the positions of an earlier lifetime are in this one: a note in the stream, behind the events that were imported. A browser
 * may hold a position that is no event's id: it was given one when it came, before it had seen any event.
 *
 * The note lists runs of events whose offsets went up by one each, so it is short: a lifetime has as many as it had sudden ends.
 */
import { keyOf } from "./stream-record.js";
import type { StreamSession } from "./stream-session.js";

/** The first offset of a run, then and now, and how many events it has. */
type ShiftedRange = readonly [then: number, now: number, count: number];

export interface EarlierEpoch {
  /** The lifetime; its offsets up to `last` were given out. */
  readonly epoch: string;
  readonly last: number;
  /** By rising offset. The first is that of the floor, which is no event. */
  readonly runs: readonly ShiftedRange[];
}

/** What a message holds at least must be taken: 1 MB. The newest runs count most. */
const MAX_RANGES = 20_000;
const VERSION = 1;

/** No publication has this key: an id that begins with "#" has a "." in it. */
export const keyOfEarlierEpoch = (epoch: string): string => keyOf(`#${epoch}`);

export function encodeEarlierEpoch({ epoch, last, runs }: EarlierEpoch): Buffer {
  return Buffer.from(JSON.stringify({ v: VERSION, earlier: { epoch, last, runs: runs.slice(-MAX_RANGES) } }));
}

/** Undefined for whatever is no such note. */
export function decodeEarlierEpoch(data: Uint8Array): EarlierEpoch | undefined {
  try {
    const { v, earlier } = JSON.parse(Buffer.from(data.buffer, data.byteOffset, data.length).toString());
    return v === VERSION && isEarlierEpoch(earlier) ? earlier : undefined;
  } catch {
    return undefined;
  }
}

function isEarlierEpoch(value: unknown): value is EarlierEpoch {
  const { epoch, last, runs } = (value ?? {}) as Partial<Record<keyof EarlierEpoch, unknown>>;
  const isRange = (run: unknown) => Array.isArray(run) && run.length === 3 && run.every(Number.isSafeInteger);
  return typeof epoch === "string" && Number.isSafeInteger(last) && Array.isArray(runs) && runs.every(isRange);
}

/** The offset, now, of the newest event that a position then had seen; undefined when that cannot be said. */
export function shiftedOffset({ last, runs }: EarlierEpoch, then: number): number | undefined {
  const range = then > last ? undefined : runs.findLast(([first]) => first <= then);
  if (!range) return undefined;
  const [first, now, count] = range;
  return now + Math.min(then - first, count - 1);
}

/** Gathers the runs, while it is not yet known at which offset they will begin. */
export class OffsetShift {
  readonly #ranges: [then: number, at: number, count: number][];
  #count = 0;

  constructor(floor: number) {
    this.#ranges = [[floor, 0, 1]];
  }

  /** Events so far. */
  get count(): number {
    return this.#count;
  }

  add(then: number): void {
    const at = ++this.#count;
    const newest = this.#ranges.at(-1);
    if (newest && newest[0] + newest[2] === then && newest[1] + newest[2] === at) newest[2]++;
    else this.#ranges.push([then, at, 1]);
  }

  /** `base`: the offset before that of the first event. */
  ranges(base: number): ShiftedRange[] {
    return this.#ranges.map(([then, at, count]) => [then, base + at, count]);
  }
}

/** The notes of a stream, each read once. */
export class EpochMap {
  readonly #notes = new Map<string, EarlierEpoch>();

  /** The offset in `epoch` that an id has, which is a position of an earlier lifetime; undefined for any other. */
  async find(session: StreamSession | undefined, epoch: string, id: string): Promise<number | undefined> {
    const [, earlierEpoch, then] = /^#?([A-Za-z0-9]{1,32})\.([0-9]{1,15})$/.exec(id) ?? [];
    if (!session || earlierEpoch === undefined || earlierEpoch === epoch) return undefined;
    const earlier = this.#notes.get(earlierEpoch) ?? (await this.#readNote(session, epoch, earlierEpoch));
    return earlier && shiftedOffset(earlier, Number(then));
  }

  async #readNote(session: StreamSession, epoch: string, earlierEpoch: string): Promise<EarlierEpoch | undefined> {
    const sequence = await session.find(epoch, keyOfEarlierEpoch(earlierEpoch));
    const [message] = sequence === undefined ? [] : await session.read(sequence - 1, sequence);
    const earlier = message && decodeEarlierEpoch(message.data);
    if (earlier) this.#notes.set(earlierEpoch, earlier);
    return earlier;
  }
}
