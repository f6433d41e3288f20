/**
 * Positions: where a publication stands in the one order that all clients see. A position is an epoch (one lifetime of the
 * offsets) and an offset in it; in a stream it is printed as the event's id, `<epoch>.<offset>`. The id of a presence event goes
 * on with a position in the presence log, `<epoch>.<offset>.<log>.<number>`. The alphabet is [A-Za-z0-9_-] and dots, because other characters make browsers send a CORS preflight for a Last-Event-ID.
 */
import { ProtocolError } from "../errors.js";
import type { Draft, Publication } from "../protocol/publication.js";
import { encodeEvent } from "../protocol/sse.js";

/** The id that stands for "everything up to and including this offset has been seen". */
export function positionId(epoch: string, offset: number): string {
  return `${epoch}.${offset}`;
}

/** The same, and "of the presence log `log` everything up to and including this number". */
export function presenceId(epoch: string, offset: number, log: string, number: number): string {
  return `${epoch}.${offset}.${log}.${number}`;
}

const POSITION = /^(0|[1-9][0-9]{0,15})(?:\.([A-Za-z0-9_-]{1,16})\.(0|[1-9][0-9]{0,15}))?$/;

/** The offset that an id of this epoch names; undefined for any other text, ids of other epochs included. */
export function offsetOf(epoch: string, id: string): number | undefined {
  if (!id.startsWith(epoch) || id[epoch.length] !== ".") return undefined;
  const offset = POSITION.exec(id.slice(epoch.length + 1))?.[1];
  return offset === undefined ? undefined : Number(offset);
}

/** The number that an id of this epoch names in the presence log `log`; undefined where it names none. */
export function presenceNumberOf(epoch: string, id: string, log: string): number | undefined {
  const [, , instance, number] = id.startsWith(`${epoch}.`) ? (POSITION.exec(id.slice(epoch.length + 1)) ?? []) : [];
  return instance === log ? Number(number) : undefined;
}

/**
 * Gives a draft its place and makes its wire bytes, once for all who will receive it. A publisher's own id is kept, unless
 * it looks like a position of this epoch: a browser that came back with it would be taken to somewhere else.
 */
export function place(draft: Draft, epoch: string, offset: number, time: number): Publication {
  if (draft.id !== undefined && offsetOf(epoch, draft.id) !== undefined) {
    throw new ProtocolError(
      "protocol.publication",
      `id "${draft.id}" is reserved: it has the form of this hub's own ids`,
    );
  }
  const id = draft.id ?? positionId(epoch, offset);
  const { topics, private: isPrivate, type, retry, data } = draft;
  return { offset, id, topics, private: isPrivate, time, bytes: encodeEvent({ type, retry, id, data }) };
}
