/**
 * Where the positions of an earlier lifetime are in this one: a note in the stream, behind the events that were imported. A browser
 * may hold a position that is no event's id: it was given one when it came, before it had seen any event.
 *
 * The note lists runs of events whose offsets went up by one each, so it is short: a lifetime has as many as it had sudden ends.
 */
import { keyOf } from "./stream-record.js";
import type { StreamSession } from "./stream-session.js";

/** The first offset of a run, then and now, and how many events it has. */
type Run = readonly [then: number, now: number, count: number];

export interface EarlierEpoch {
  /** The lifetime; its offsets up to `last` were given out. */
  readonly epoch: string;
  readonly last: number;
  /** By rising offset. The first is that of the floor, which is no event. */
  readonly runs: readonly Run[];
}

/** What a message holds at least must be taken: 1 MB. The newest runs count most. */
const MOST_RUNS = 20_000;
const VERSION = 1;

/** No publication has this key: an id that begins with "#" has a "." in it. */
export const keyOfEarlierEpoch = (epoch: string): string => keyOf(`#${epoch}`);

export function encodeEarlierEpoch({ epoch, last, runs }: EarlierEpoch): Buffer {
  return Buffer.from(JSON.stringify({ v: VERSION, earlier: { epoch, last, runs: runs.slice(-MOST_RUNS) } }));
}

/** Undefined for whatever is no such note. */
export function decodeEarlierEpoch(data: Uint8Array): EarlierEpoch | undefined {
  try {
    const { v, earlier } = JSON.parse(Buffer.from(data.buffer, data.byteOffset, data.length).toString());
    return v === VERSION && isEarlier(earlier) ? earlier : undefined;
  } catch {
    return undefined;
  }
}

function isEarlier(value: unknown): value is EarlierEpoch {
  const { epoch, last, runs } = (value ?? {}) as Partial<Record<keyof EarlierEpoch, unknown>>;
  const isRun = (run: unknown) => Array.isArray(run) && run.length === 3 && run.every(Number.isSafeInteger);
  return typeof epoch === "string" && Number.isSafeInteger(last) && Array.isArray(runs) && runs.every(isRun);
}

/** The offset, now, of the newest event that a position then had seen; undefined when that cannot be said. */
export function offsetNow({ last, runs }: EarlierEpoch, then: number): number | undefined {
  const run = then > last ? undefined : runs.findLast(([first]) => first <= then);
  if (!run) return undefined;
  const [first, now, count] = run;
  return now + Math.min(then - first, count - 1);
}

/** Gathers the runs, while it is not yet known at which offset they will begin. */
export class OffsetShift {
  readonly #runs: [then: number, at: number, count: number][];
  #count = 0;

  constructor(floor: number) {
    this.#runs = [[floor, 0, 1]];
  }

  /** Events so far. */
  get count(): number {
    return this.#count;
  }

  add(then: number): void {
    const at = ++this.#count;
    const newest = this.#runs.at(-1);
    if (newest && newest[0] + newest[2] === then && newest[1] + newest[2] === at) newest[2]++;
    else this.#runs.push([then, at, 1]);
  }

  /** `base`: the offset before that of the first event. */
  runs(base: number): Run[] {
    return this.#runs.map(([then, at, count]) => [then, base + at, count]);
  }
}

/** The notes of a stream, each read once. */
export class EpochMap {
  readonly #read = new Map<string, EarlierEpoch>();

  /** The offset in `epoch` that an id has, which is a position of an earlier lifetime; undefined for any other. */
  async find(session: StreamSession | undefined, epoch: string, id: string): Promise<number | undefined> {
    const [, lifetime, then] = /^#?([A-Za-z0-9]{1,32})\.([0-9]{1,15})$/.exec(id) ?? [];
    if (!session || lifetime === undefined || lifetime === epoch) return undefined;
    const earlier = this.#read.get(lifetime) ?? (await this.#ask(session, epoch, lifetime));
    return earlier && offsetNow(earlier, Number(then));
  }

  async #ask(session: StreamSession, epoch: string, lifetime: string): Promise<EarlierEpoch | undefined> {
    const sequence = await session.find(epoch, keyOfEarlierEpoch(lifetime));
    const [message] = sequence === undefined ? [] : await session.read(sequence - 1, sequence);
    const earlier = message && decodeEarlierEpoch(message.data);
    if (earlier) this.#read.set(lifetime, earlier);
    return earlier;
  }
}
