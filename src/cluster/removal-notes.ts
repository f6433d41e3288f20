/**
 * Notes in the stream about removals that were carried out:
 *
 * - marks: how far removals are carried out, and which of the oldest messages were removed and not trimmed. Each mark replaces those before it.
 * - removed ids: the offset of an event whose publisher gave it an id, because that id is looked up by the event's own message.
 */
import type { PositionedRemoval } from "../delivery/removals.js";
import { decodeStreamRecord, keyOf, REMOVALS_KEY } from "./stream-record.js";
import type { StreamMessage, StreamSession } from "./stream-session.js";

export interface RemovalMark {
  /** The offset of the newest removal that is carried out, with all before it. */
  readonly applied: number;
  /** While the oldest message of the epoch is at or below `first`, those above `floor` were removed, and none was trimmed. */
  readonly floor: number;
  readonly first: number;
  /** Messages that are erased after this mark. */
  readonly count: number;
}

/** The offsets of the oldest and the newest removed event with an id. */
export interface RemovedId {
  readonly oldest: number;
  readonly newest: number;
}

const VERSION = 1;
/** No id has a key of this length. */
export const MARKS_KEY = "marks";

export const NO_MARK: RemovalMark = { applied: 0, floor: 0, first: 0, count: 0 };

/** The key of the note of a removed id. */
export const keyOfRemovedId = (id: string): string => `${keyOf(id)}r`;

export const encodeMark = (marked: RemovalMark): Buffer => Buffer.from(JSON.stringify({ v: VERSION, marked }));

export const encodeRemovedId = (was: RemovedId): Buffer => Buffer.from(JSON.stringify({ v: VERSION, was }));

/** Undefined for any other message. */
export function decodeMark(data: Uint8Array): RemovalMark | undefined {
  const { applied, floor, first, count } = (parse(data).marked ?? {}) as Partial<RemovalMark>;
  return isOffset(applied) && isOffset(floor) && isOffset(first) && isOffset(count)
    ? { applied, floor, first, count }
    : undefined;
}

function decodeRemovedId(data: Uint8Array): RemovedId | undefined {
  const { oldest, newest } = (parse(data).was ?? {}) as Partial<RemovedId>;
  return isOffset(oldest) && isOffset(newest) ? { oldest, newest } : undefined;
}

const isOffset = (value: unknown): value is number => Number.isSafeInteger(value) && Number(value) >= 0;

function parse({ buffer, byteOffset, length }: Uint8Array): { readonly marked?: unknown; readonly was?: unknown } {
  try {
    const { v, ...rest } = JSON.parse(Buffer.from(buffer, byteOffset, length).toString());
    return v === VERSION ? rest : {};
  } catch {
    return {};
  }
}

/** The highest offset that is lost, while the oldest message of the epoch is `first`. */
export function floorBefore(first: number, mark: Pick<RemovalMark, "floor" | "first">): number {
  return first <= mark.first ? Math.min(mark.floor, first - 1) : first - 1;
}

/** The newest mark of an epoch, and its sequence; 0 = there is none. */
export async function findMark(
  session: StreamSession,
  epoch: string,
): Promise<{ readonly mark: RemovalMark; readonly sequence: number }> {
  const message = await newestOf(session, epoch, MARKS_KEY);
  return { mark: (message && decodeMark(message.data)) ?? NO_MARK, sequence: message?.sequence ?? 0 };
}

/** Where the removed events with an id were; undefined = there was none. */
export async function findRemovedId(session: StreamSession, epoch: string, id: string): Promise<RemovedId | undefined> {
  const message = await newestOf(session, epoch, keyOfRemovedId(id));
  return message && decodeRemovedId(message.data);
}

async function newestOf(session: StreamSession, epoch: string, key: string): Promise<StreamMessage | undefined> {
  const sequence = await session.find(epoch, key, "newest");
  const [message] = sequence === undefined ? [] : await session.read(sequence - 1, sequence);
  return message;
}

/** What the stream holds of an epoch: the newest mark, and the removals after it up to an offset that are not carried out. */
export async function readRemovals(
  session: StreamSession,
  epoch: string,
  through: number,
): Promise<{ readonly mark: RemovalMark; readonly records: readonly PositionedRemoval[] }> {
  const { mark } = await findMark(session, epoch);
  const records: PositionedRemoval[] = [];
  for (let at: number | undefined = mark.applied; ; ) {
    at = await session.find(epoch, REMOVALS_KEY, "oldest", at);
    if (at === undefined || at > through) return { mark, records };
    const [message] = await session.read(at - 1, at);
    const publication = message && decodeStreamRecord(message, epoch);
    if (typeof publication === "object" && publication.removes)
      records.push({ offset: at, removes: publication.removes });
  }
}
