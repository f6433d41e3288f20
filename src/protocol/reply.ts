/**
 * Codec of replies to Mongrel2, which forwards the body to connections (handler_parser.rl of Mongrel2 1.12):
 *
 *   UUID SP <length>:ID( SP ID)*, SP BODY          BODY is sent to each connection unchanged; an empty one closes them
 *   UUID SP <length>:X SP ID( SP ID)*, SP BODY     extended: BODY is one of the constants below
 *
 * A malformed frame stops all output of the handler for up to half a second, and a malformed extended body crashes Mongrel2.
 * So this file alone encodes heads, and throws TypeError for invalid arguments before anything is sent. Head and body must be one
 * ZeroMQ part: Mongrel2 would read two parts as a reply with an empty body and a malformed frame.
 */
import { ProtocolError } from "../errors.js";

/** Resets the idle timer of each connection and writes nothing to it. Mongrel2 answers an unknown id with a disconnect notice. */
export const KEEP_ALIVE: Buffer = Buffer.from("27:3:ctl,17:10:keep-alive,0:,}]");
/** Closes each connection at once and drops its queued output. Mongrel2 sends no notice, not even for an unknown id. */
export const CANCEL: Buffer = Buffer.from("22:3:ctl,12:6:cancel,0:,}]");
/** Body of an ordinary reply that closes each connection after its queued output. */
export const CLOSE: Buffer = Buffer.alloc(0);

/** Default of limits.handler_targets: Mongrel2 drops a frame with more ids. */
const MAX_TARGET_COUNT = 128;
/** Mongrel2 stores ids in a signed 32-bit int: a larger number would address another connection. */
const MAX_CONNECTION_ID = 2_147_483_647;

const DIGITS = /^[0-9]+$/;
const SENDER = /^[A-Za-z0-9-]+$/;

/** Whether Mongrel2 accepts a reply with this send_ident: not with "_" or ".", although its requests may contain them. */
export function isSender(text: string): boolean {
  return SENDER.test(text);
}

/**
 * Encodes the head of a reply to 1..maxTargets connections; the body follows it. Mongrel2 answers an unknown id, 0 included, with
 * a disconnect notice. Throws TypeError: no or too many ids, an id outside 0..2147483647, an invalid sender.
 */
export function replyHead(sender: string, ids: readonly number[], maxTargets = MAX_TARGET_COUNT): Buffer {
  return head(sender, "", ids, maxTargets);
}

/** Encodes the head of a reply whose body is KEEP_ALIVE or CANCEL; any other body may crash Mongrel2. */
export function extendedHead(sender: string, ids: readonly number[], maxTargets = MAX_TARGET_COUNT): Buffer {
  return head(sender, EXTENDED_PREFIX, ids, maxTargets);
}

function head(sender: string, mark: string, ids: readonly number[], maxTargets: number): Buffer {
  if (!isSender(sender))
    throw new TypeError(`sender ${JSON.stringify(sender)}: only letters, digits and "-" can stand there`);
  if (ids.length === 0 || ids.length > maxTargets)
    throw new TypeError(`${ids.length} ids, a reply has 1 to ${maxTargets}`);
  for (const id of ids) if (!isId(id)) throw new TypeError(`${id} is no connection id: 0 to ${MAX_CONNECTION_ID}`);
  const list = mark + ids.join(" ");
  return Buffer.from(`${sender} ${list.length}:${list}, `, "latin1");
}

/** Whether it is a non-negative 32-bit integer. */
function isId(id: number): boolean {
  return (id | 0) === id && id >= 0;
}

export interface Reply {
  readonly sender: string;
  readonly ids: number[];
  readonly extended: boolean;
  /** Shares the memory of the frame. The body of an extended reply is not decoded. */
  readonly body: Buffer;
}

const EXTENDED_PREFIX = "X ";

/**
 * Decodes a frame as Mongrel2 does: it accepts leading zeros and one trailing space. It is stricter in two cases that Mongrel2
 * accepts with unintended effects: an extended reply without ids, and an id above 2147483647. Throws "invalid"; "too_large" for
 * more than `maxTargets` ids (absent = any number).
 */
export function decodeReply(frame: Buffer, { maxTargets = Number.POSITIVE_INFINITY } = {}): Reply {
  const space = frame.indexOf(" ");
  const colon = frame.indexOf(":", space + 1);
  if (space < 0 || colon < 0) throw invalid("no sender, space, length and colon");
  const sender = frame.toString("latin1", 0, space);
  if (!isSender(sender)) throw invalid("the sender may hold letters, digits and '-' only");
  const end = colon + 1 + readLength(frame.toString("latin1", space + 1, colon));
  if (frame[end] !== 0x2c || frame[end + 1] !== 0x20) throw invalid("no comma and space where the ids should end");
  const list = frame.toString("latin1", colon + 1, end);
  const extended = list.startsWith(EXTENDED_PREFIX);
  const ids = readIds(extended ? list.slice(EXTENDED_PREFIX.length) : list, maxTargets);
  return { sender, ids, extended, body: frame.subarray(end + 2) };
}

function readLength(digits: string): number {
  if (!DIGITS.test(digits)) throw invalid("the length of the ids is no number");
  return Number(digits);
}

/** Accepts one space after the last id, and rejects two between ids. */
function readIds(list: string, maxTargets: number): number[] {
  const ids = (list.endsWith(" ") ? list.slice(0, -1) : list).split(" ");
  if (ids.length > maxTargets) {
    throw new ProtocolError("too_large", `reply over its limits: ${ids.length} ids, at most ${maxTargets} are taken`);
  }
  return ids.map((digits) => {
    if (!DIGITS.test(digits)) throw invalid("the ids must be numbers with one space between them");
    if (!isId(Number(digits))) throw invalid(`${digits.slice(0, 20)} is no connection id: 0 to ${MAX_CONNECTION_ID}`);
    return Number(digits);
  });
}

function invalid(what: string): ProtocolError {
  return new ProtocolError("invalid", `not a reply: ${what}`);
}
