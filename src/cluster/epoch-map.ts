/**
 * Maps positions of an earlier epoch to offsets of this one: a note in the stream, behind the events that were imported. A browser
 * may hold a position that is no event's id, because it got one when it connected, before the first event.
 *
 * The note lists ranges of consecutive offsets, so it is short: an epoch has one range more for each unclean shutdown.
 */
import { keyOf } from "./stream-record.js";
import type { StreamSession } from "./stream-session.js";

/** The first offset of a range in the earlier epoch and in this one, and the number of its events. */
type ShiftedRange = readonly [then: number, now: number, count: number];

export interface EarlierEpoch {
  /** The earlier epoch; its offsets up to `last` were given out. */
  readonly epoch: string;
  readonly last: number;
  /** Ranges by rising offset (the key of the stored note). The first one is the floor, which is no event. */
  readonly runs: readonly ShiftedRange[];
}

/** Keeps the note below 1 MB, the default max_payload of NATS. The newest ranges are kept. */
const MAX_RANGES = 20_000;
const VERSION = 1;

/** No publication has this key: an id that begins with "#" has a "." in it. */
export const keyOfEarlierEpoch = (epoch: string): string => keyOf(`#${epoch}`);

export function encodeEarlierEpoch({ epoch, last, runs }: EarlierEpoch): Buffer {
  return Buffer.from(JSON.stringify({ v: VERSION, earlier: { epoch, last, runs: runs.slice(-MAX_RANGES) } }));
}

/** Undefined for any other message. */
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

/** The offset, in this epoch, of the newest event at or below an offset of the earlier epoch; undefined = unknown. */
export function shiftedOffset({ last, runs }: EarlierEpoch, then: number): number | undefined {
  const range = then > last ? undefined : runs.findLast(([first]) => first <= then);
  if (!range) return undefined;
  const [first, now, count] = range;
  return now + Math.min(then - first, count - 1);
}

/** Collects the ranges of an import before its first offset is known. */
export class OffsetShift {
  readonly #ranges: [then: number, at: number, count: number][];
  #count = 0;

  constructor(floor: number) {
    this.#ranges = [[floor, 0, 1]];
  }

  /** Number of events added. */
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

  /** The offset in `epoch` of an id that is a position of an earlier epoch; undefined for any other id. */
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
