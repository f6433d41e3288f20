/**
 * Where a client goes on from: what its last event id means, and what it is told before its first event. Every client gets a
 * position of its own at once, so that it can come back even if it never saw an event: an m2push-open event, or the notice that
 * something is missing, which carries the id too. The opening has a type and data of its own: an id alone is a block that
 * browsers do not show (WHATWG HTML 9.2.6), but @microsoft/fetch-event-source calls the page for it, with data that is no JSON,
 * and npm's eventsource forgets it.
 */
import { LIMITS } from "../protocol/limits.js";
import { offsetOf, positionId } from "../protocol/position.js";
import { encodeEvent } from "../protocol/sse.js";
import type { HistoryReader } from "./history-reader.js";
import type { EqualIds, GapReason, History } from "./ports.js";

export interface Replay {
  /** Everything up to this offset has been seen, or cannot be given any more. */
  readonly cursor: number;
  /** Why some of what came before may be missing; undefined = nothing is. */
  readonly gap: GapReason | undefined;
  /** The id of the event before the first one that will be sent, if the client named it. */
  readonly after: string | undefined;
}

/** An offset; undefined = the id is unknown; "unavailable" = it could not be looked up. */
export type RequestedOffset = number | undefined | "unavailable";

/**
 * The offset of an id: our own name it, a publisher's own are looked up (`which` of equal ones). "earliest" is before everything that is held. One
 * that is empty, or longer than any that was ever given out, is not looked up: stores have keys of so many bytes, and fail beyond.
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
  // Where several daemons share a history, another one may be ahead of this one: the history knows.
  return offset <= history.last ? offset : history.find(id);
}

/** `asked`: the offset of its last event id, `join`: where its audience is. */
export function planReplay(
  history: History,
  lastEventId: string | undefined,
  asked: RequestedOffset,
  join: number,
): Replay {
  if (lastEventId === undefined) return { cursor: join, gap: undefined, after: undefined };
  if (asked === undefined) return { cursor: join, gap: "unknown", after: undefined };
  if (asked === "unavailable") return { cursor: join, gap: "unavailable", after: undefined };
  if (asked < history.floor) return { cursor: history.floor, gap: "expired", after: undefined };
  return { cursor: asked, gap: undefined, after: lastEventId === "earliest" ? undefined : lastEventId };
}

/** By what comes first. After a restart of Mongrel2 most browsers are told the same: it is made once. */
const beginnings = new WeakMap<Buffer, { readonly first: string; readonly bytes: Buffer }>();

/**
 * The first bytes of a stream that misses nothing: `opening`, and its position. As an event of its own type where it is
 * `named`: @microsoft/fetch-event-source hands a block without data to the page, and npm's eventsource forgets its id.
 */
export function streamStart({ epoch }: History, opening: Buffer, cursor: number, named: boolean): Buffer {
  const id = positionId(epoch, cursor);
  const first = named ? `named ${id}` : id;
  const known = beginnings.get(opening);
  if (known?.first === first) return known.bytes;
  const event = named ? { type: "m2push-open", id, data: "{}" } : { id };
  const bytes = Buffer.concat([opening, encodeEvent(event)]);
  beginnings.set(opening, { first, bytes });
  return bytes;
}

/** The notice that publications before `cursor` cannot be given. */
export function gapEvent({ epoch, floor }: History, reason: GapReason, cursor: number): Buffer {
  const data = JSON.stringify({ reason, oldest: positionId(epoch, floor) });
  return encodeEvent({ type: "m2push-gap", id: positionId(epoch, cursor), data });
}
