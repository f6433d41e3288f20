/** What Mongrel2 makes of the body of an extended ("X") reply (mongrel2.md 1.4). */
import { CANCEL, KEEP_ALIVE } from "../../src/protocol/reply.js";
import { decode } from "../../src/protocol/tnetstring.js";

/** What an extended reply does to a living connection. */
export type Control = "keep-alive" | "cancel" | "nothing" | "foreign" | "crash";

const CTL = Buffer.from("ctl");

export function parseControl(body: Buffer): Control {
  if (body.equals(KEEP_ALIVE)) return "keep-alive";
  if (body.equals(CANCEL)) return "cancel";
  if (!isTnetstring(body)) return "nothing";
  try {
    const value = decode(body);
    if (!Array.isArray(value) || value.length !== 2 || !Buffer.isBuffer(value[0])) return "nothing";
    const [kind, args] = value;
    if (!kind.equals(CTL) || !(args instanceof Map)) return "foreign";
    return args.has("cancel") ? "cancel" : args.has("keep-alive") ? "keep-alive" : "nothing";
  } catch {
    // Good outside, broken inside: parse_extended_request follows a null pointer.
    return "crash";
  }
}

/** Whether the outermost length and type are right; no look inside. */
function isTnetstring(body: Buffer): boolean {
  const length = /^(\d{1,9}):/.exec(body.toString("latin1", 0, 10));
  return length !== null && body.length === length[0].length + Number(length[1]) + 1;
}
