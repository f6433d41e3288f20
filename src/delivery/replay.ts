/**
 * Where a client's stream starts: what its last event id means, and what precedes its first event. Every client gets a position at once, so
 * that it can reconnect even if it never received an event: an m2push-open event, or the gap event, which carries an id too. The opening has
 * a type and data because clients differ in how they treat a block with an id only: browsers do not show it (WHATWG HTML 9.2.6),
 * @microsoft/fetch-event-source hands it to the page with data that is no JSON, and npm's eventsource forgets its id.
 */
import { LIMITS } from "../protocol/limits.js";
import { offsetOf, positionId } from "../protocol/position.js";
import type { Publication } from "../protocol/publication.js";
import { encodeEvent } from "../protocol/sse.js";
import type { EqualIds, History } from "./history.js";
import type { HistoryReader } from "./history-reader.js";
import type { GapReason } from "./reasons.js";

export interface Replay {
  /** Everything up to this offset was received before, or cannot be sent any more. */
  readonly cursor: number;
  /** Why publications before the cursor may be missing; undefined = none is. */
  readonly gap: GapReason | undefined;
  /** The id of the event before the first one that will be sent, if the client named it. */
  readonly after: string | undefined;
}

/** Where a client wants its stream to start. */
export interface ReplayRequest {
  /** The last event it received; undefined = none, "" = unknown to the client, "earliest" = before every stored publication. */
  readonly lastEventId: string | undefined;
  /** Of that event. Without a last event id: where the stream starts; undefined = now. */
  readonly offset: RequestedOffset;
}

/** An offset; undefined = the id is unknown; "unavailable" = the lookup failed. */
export type RequestedOffset = number | undefined | "unavailable";

/**
 * The offset of an event id. Generated ids contain it; publishers' ids are looked up (`which` selects among equal ones). "earliest" is before
 * every stored publication. An id that is empty, or longer than any issued one, is not looked up: stores limit the size of their keys.
 */
export function offsetOfId(
  history: HistoryReader,
  id: string,
  which?: EqualIds,
): RequestedOffset | Promise<RequestedOffset> {
  if (id === "earliest") return history.floor;
  if (id === "") return undefined;
  if (Buffer.byteLength(id) > LIMITS.idBytes) return undefined;
  const offset = offsetOf(history.epoch, id);
  if (offset === undefined) return history.find(id, which);
  // Where several daemons share a history, another one may be ahead of this one: the history knows its offset.
  return offset <= history.last ? offset : history.find(id);
}

/** `join`: the offset from which its audience goes on. */
export function planReplay(history: History, { lastEventId, offset: requested }: ReplayRequest, join: number): Replay {
  if (lastEventId === undefined) {
    const cursor = typeof requested === "number" ? Math.max(requested, history.floor) : join;
    return { cursor, gap: requested === "unavailable" ? requested : undefined, after: undefined };
  }
  if (requested === undefined) return { cursor: join, gap: "unknown", after: undefined };
  if (requested === "unavailable") return { cursor: join, gap: "unavailable", after: undefined };
  if (requested < history.floor) return { cursor: history.floor, gap: "expired", after: undefined };
  return { cursor: requested, gap: undefined, after: lastEventId === "earliest" ? undefined : lastEventId };
}

/**
 * The offset after which the stored events begin that were published at `time` (milliseconds since 1970) or later, by bisection: 1 ms among
 * 1,000,000 events. Times rise with the offsets, unless somebody has set the clock back. Like "earliest" it asks for what is stored: that
 * earlier events are trimmed is no gap.
 */
export async function offsetSince(history: HistoryReader, time: number): Promise<number | "unavailable"> {
  let [low, high] = [history.floor, history.last];
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    const first = await firstAfter(history, middle, high);
    if (first === "unavailable") return first;
    // Nothing after the middle, or all of it is late enough: the boundary is not above.
    if (first === undefined || first.time >= time) high = middle;
    else low = Math.max(first.offset, middle + 1);
  }
  return low;
}

async function firstAfter(
  history: HistoryReader,
  after: number,
  through: number,
): Promise<Publication | undefined | "unavailable"> {
  for (let at = after; at < through; ) {
    const page = await history.read(at, () => ({ through, maxBytes: 1, most: 1 }));
    if (page.isUnavailable) return "unavailable";
    const [publication] = page.publications;
    if (publication) return publication;
    at = Math.max(page.through, at + 1, history.floor);
  }
  return undefined;
}

/** The event with the first position of a stream that has a name: see StreamControl. `cursor`: undefined before a selection. */
export function namedOpening({ epoch }: History, cursor: number | undefined, stream: string): Buffer {
  const event = { type: "m2push-open", data: JSON.stringify({ stream }) };
  return encodeEvent(cursor === undefined ? event : { ...event, id: positionId(epoch, cursor) });
}

/** The event that says from which position changed topics hold; `notice`: its data. */
export function topicsEvent({ epoch }: History, notice: string, cursor: number): Buffer {
  return encodeEvent({ type: "m2push-topics", id: positionId(epoch, cursor), data: notice });
}

/** The last stream start by its opening: after a restart of Mongrel2 most browsers get the same, which is made once. */
const streamStarts = new WeakMap<Buffer, { readonly block: string; readonly bytes: Buffer }>();

/**
 * The first bytes of a stream that misses nothing: `opening` and the client's position. `isNamed`: the position is an event of type
 * m2push-open; see the head of this file.
 */
export function streamStart(
  { epoch }: Pick<History, "epoch">,
  opening: Buffer,
  cursor: number,
  isNamed: boolean,
): Buffer {
  const id = positionId(epoch, cursor);
  const block = isNamed ? `named ${id}` : id;
  const known = streamStarts.get(opening);
  if (known?.block === block) return known.bytes;
  const bytes = Buffer.concat([opening, positionEvent({ epoch }, cursor, isNamed)]);
  streamStarts.set(opening, { block, bytes });
  return bytes;
}

/** The position of a client. `isNamed`: see streamStart(). */
export function positionEvent({ epoch }: Pick<History, "epoch">, cursor: number, isNamed: boolean): Buffer {
  const id = positionId(epoch, cursor);
  return encodeEvent(isNamed ? { type: "m2push-open", id, data: "{}" } : { id });
}

/** The event which reports that publications before `cursor` cannot be sent. */
export function gapEvent({ epoch, floor }: History, reason: GapReason, cursor: number): Buffer {
  const data = JSON.stringify({ reason, oldest: positionId(epoch, floor) });
  return encodeEvent({ type: "m2push-gap", id: positionId(epoch, cursor), data });
}
