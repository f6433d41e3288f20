/**
 * Replies to Mongrel2, which sends what they hold to connections (handler_parser.rl of Mongrel2 1.12):
 *
 *   UUID SP <length>:ID( SP ID)*, SP BODY          BODY goes to each connection as it is; an empty one closes them
 *   UUID SP <length>:X SP ID( SP ID)*, SP BODY     extended: BODY is one of the constants below
 *
 * A malformed frame stops all output of the handler for up to half a second, and a malformed extended body crashes Mongrel2.
 * So heads are made here only, and what cannot be right is a TypeError before anything is sent. Head and body must be one ZeroMQ
 * part: in two they would be an empty body, and a malformed frame.
 */
import { ProtocolError } from "../errors.js";

/** Resets the idle clock of each connection and writes nothing to it. A dead id comes back as a notice. */
export const KEEP_ALIVE: Buffer = Buffer.from("27:3:ctl,17:10:keep-alive,0:,}]");
/** Closes each connection at once and drops what is queued for it. Nothing comes back, from dead ids either. */
export const CANCEL: Buffer = Buffer.from("22:3:ctl,12:6:cancel,0:,}]");
/** The body of an ordinary reply that closes each connection after what is queued for it. */
export const CLOSE: Buffer = Buffer.alloc(0);

/** limits.handler_targets: one id more, and Mongrel2 drops the frame. */
const MAX_TARGETS = 128;
/** Mongrel2 keeps ids in a signed 32-bit int: a larger number would be another connection's. */
const MAX_ID = 2_147_483_647;

const DIGITS = /^[0-9]+$/;
const SENDER = /^[A-Za-z0-9-]+$/;

/** Whether a send_ident can stand before a reply: "_" and "." cannot, though Mongrel2 sends requests with them. */
export function isSender(text: string): boolean {
  return SENDER.test(text);
}

/**
 * The beginning of a reply to 1..maxTargets connections; the body follows it. An id that does not exist, 0 included, is
 * answered with a notice. Throws TypeError: no or too many ids, an id outside 0..2147483647, a sender that is none.
 */
export function replyHead(sender: string, ids: readonly number[], maxTargets = MAX_TARGETS): Buffer {
  return head(sender, "", ids, maxTargets);
}

/** The same for KEEP_ALIVE and CANCEL, and for nothing else. */
export function extendedHead(sender: string, ids: readonly number[], maxTargets = MAX_TARGETS): Buffer {
  return head(sender, EXTENDED, ids, maxTargets);
}

function head(sender: string, mark: string, ids: readonly number[], maxTargets: number): Buffer {
  if (!isSender(sender))
    throw new TypeError(`sender ${JSON.stringify(sender)}: only letters, digits and "-" can stand there`);
  if (ids.length === 0 || ids.length > maxTargets)
    throw new TypeError(`${ids.length} ids, a reply has 1 to ${maxTargets}`);
  for (const id of ids) if (!isId(id)) throw new TypeError(`${id} is no connection id: 0 to ${MAX_ID}`);
  const list = mark + ids.join(" ");
  return Buffer.from(`${sender} ${list.length}:${list}, `, "latin1");
}

/** By the bits: a 32-bit int, and not negative. */
function isId(id: number): boolean {
  return (id | 0) === id && id >= 0;
}

export interface Reply {
  readonly sender: string;
  readonly ids: number[];
  readonly extended: boolean;
  /** Shares the memory of the frame. Of an extended reply it is not looked into. */
  readonly body: Buffer;
}

const EXTENDED = "X ";

/**
 * Takes a frame apart as Mongrel2 does: leading zeros and one trailing space are fine, whatever else is wrong is wrong. In
 * two points stricter, where Mongrel2 does something that nobody wants: an extended reply to nobody, and an id above
 * 2147483647. Throws "invalid"; "too_large" for more than `maxTargets` ids (absent = any number).
 */
export function decodeReply(frame: Buffer, { maxTargets = Number.POSITIVE_INFINITY } = {}): Reply {
  const space = frame.indexOf(" ");
  const colon = frame.indexOf(":", space + 1);
  if (space < 0 || colon < 0) throw broken("no sender, space, length and colon");
  const sender = frame.toString("latin1", 0, space);
  if (!isSender(sender)) throw broken("the sender may hold letters, digits and '-' only");
  const end = colon + 1 + readLength(frame.toString("latin1", space + 1, colon));
  if (frame[end] !== 0x2c || frame[end + 1] !== 0x20) throw broken("no comma and space where the ids should end");
  const list = frame.toString("latin1", colon + 1, end);
  const extended = list.startsWith(EXTENDED);
  const ids = readIds(extended ? list.slice(EXTENDED.length) : list, maxTargets);
  return { sender, ids, extended, body: frame.subarray(end + 2) };
}

function readLength(digits: string): number {
  if (!DIGITS.test(digits)) throw broken("the length of the ids is no number");
  return Number(digits);
}

/** A space after the last id is taken; two between any are not. */
function readIds(list: string, maxTargets: number): number[] {
  const ids = (list.endsWith(" ") ? list.slice(0, -1) : list).split(" ");
  if (ids.length > maxTargets) {
    throw new ProtocolError("too_large", `reply over its limits: ${ids.length} ids, at most ${maxTargets} are taken`);
  }
  return ids.map((digits) => {
    if (!DIGITS.test(digits)) throw broken("the ids must be numbers with one space between them");
    if (!isId(Number(digits))) throw broken(`${digits.slice(0, 20)} is no connection id: 0 to ${MAX_ID}`);
    return Number(digits);
  });
}

function broken(what: string): ProtocolError {
  return new ProtocolError("invalid", `not a reply: ${what}`);
}
