/** Faults of publications: an event may have several, and a batch has those of all its events. */
import { isUtf8 } from "node:buffer";
import { ProtocolError, type ReplyCode } from "../errors.js";
import { quote as quoteText } from "../util/escape.js";

/** One fault of one event. */
export interface EventFault {
  /** Line of the event in a batch of JSON lines, counted from 1. */
  readonly line?: number;
  /** Index of the event in a JSON array, counted from 0. */
  readonly index?: number;
  /** The member or attribute of the event; absent = the event as a whole. */
  readonly member?: string;
  readonly code: ReplyCode;
  readonly detail: string;
}

/** Faults that the message of InvalidEvents quotes: it is also a line of the log. `faults` has all. */
const MAX_QUOTED_FAULT_COUNT = 3;

/** A request whose events have faults. Nothing of it was published. */
export class InvalidEvents extends ProtocolError {
  readonly faults: readonly EventFault[];

  /** `faults` is not empty. A single event has the code of its first fault, a batch is "invalid". */
  constructor(faults: readonly EventFault[]) {
    const [first] = faults;
    super(first && isOfSingleEvent(first) ? first.code : "invalid", summary(faults));
    this.faults = faults;
  }
}

/** One line for a fault, such as `line 7: "data" is missing`. */
export function describeFault({ line, index, detail }: EventFault): string {
  if (line !== undefined) return `line ${line}: ${detail}`;
  return index === undefined ? detail : `event ${index}: ${detail}`;
}

const isOfSingleEvent = ({ line, index }: EventFault): boolean => line === undefined && index === undefined;

function summary(faults: readonly EventFault[]): string {
  const quoted = faults.slice(0, MAX_QUOTED_FAULT_COUNT).map(describeFault).join("; ");
  const more = faults.length - MAX_QUOTED_FAULT_COUNT;
  return more > 0 ? `${quoted}; and ${more} more` : quoted;
}

/** The fault that `check` throws as a ProtocolError; undefined = none. */
export function faultOf(member: string | undefined, check: () => unknown): EventFault | undefined {
  try {
    check();
    return undefined;
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error;
    return { ...(member !== undefined && { member }), code: error.code, detail: error.message };
  }
}

/** Quotes at most 60 characters for an error message. */
export function quote(value: string): string {
  return quoteText(value.length > 60 ? `${value.slice(0, 60)}...` : value);
}

export const invalid = (detail: string): ProtocolError => new ProtocolError("invalid", detail);

/** The text of bytes; throws "invalid" if they are not UTF-8. */
export function textOf(bytes: Buffer, what: string): string {
  const text = bytes.toString();
  // Only what is not valid is decoded to this character, apart from itself.
  if (text.includes("\ufffd") && !isUtf8(bytes)) throw invalid(`${what} is not valid UTF-8`);
  return text;
}

/** Throws "too_large". */
export function atMost(bytes: number, limit: number, what: string): void {
  if (bytes > limit) throw tooLarge(`${what} has ${bytes} bytes, at most ${limit} are taken`);
}

export const tooLarge = (detail: string): ProtocolError => new ProtocolError("too_large", detail);
