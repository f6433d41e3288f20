/**
 * Server-sent events, the text of an EventSource stream (WHATWG HTML, 9.2.5 and 9.2.6).
 *
 * What the encoder writes can hold nothing but the fields it was given. A line ends at CR, LF or CRLF, nowhere else: in data
 * each begins a new `data` line (the page sees LF for all three), in the other fields it is refused. Of the other special
 * characters:
 * - U+FEFF is dropped only as the very first character of a stream, and ours begin with a field name or a colon. In data, at
 *   its beginning too, it arrives.
 * - U+0000 in an id makes browsers ignore the id, so it is refused there. In data it arrives.
 * - A browser strips one space after the colon. There always is one, so that spaces of the value itself arrive.
 * - Half a surrogate pair has no UTF-8; it becomes U+FFFD.
 */
import { ProtocolError } from "../errors.js";

/** One event. What is absent is not in the stream: then an id or a waiting time given earlier goes on being valid. */
export interface EventFields {
  /** What a browser sends as Last-Event-ID from here on; "" makes it forget. */
  readonly id?: string;
  /** The name of the DOM event; absent and "" are "message". */
  readonly type?: string | undefined;
  /** How long to wait before reconnecting, milliseconds, a whole number. */
  readonly retry?: number | undefined;
  /** Absent: the page hears nothing of this event, but its id and waiting time count. "" is an event with empty data. */
  readonly data?: string;
}

const LINE_END = /\r\n|\r|\n/g;

/** The event's bytes, blank line included. Throws "invalid" for what no stream can carry: see above. */
export function encodeEvent(event: EventFields): Buffer {
  const { data } = event;
  if (data === undefined) return Buffer.from(`${head(event)}\n`);
  return Buffer.from(`${head(event)}data: ${isOneLine(data) ? data : data.replace(LINE_END, "\ndata: ")}\n\n`);
}

/** encodeEvent(event).length, without making it where it can be reckoned. */
export function eventSize(event: EventFields): number {
  const { data } = event;
  if (data !== undefined && !isOneLine(data)) return encodeEvent(event).length;
  return Buffer.byteLength(head(event)) + (data === undefined ? 1 : "data: \n\n".length + Buffer.byteLength(data));
}

/**
 * Text that browsers ignore: each line of it a comment. Nothing is added after the colon, and no blank line at the end: some
 * libraries (@microsoft/fetch-event-source) call the page for each block that a blank line ends, also for one of comments.
 */
export function encodeComment(text: string): Buffer {
  return Buffer.from(`:${isOneLine(text) ? text : text.replace(LINE_END, "\n:")}\n`);
}

/** The waiting time alone: it counts as soon as its line has ended, and without a blank line it is no block (see above). */
export function encodeRetry(retry: number): Buffer {
  return Buffer.from(`retry: ${milliseconds(retry)}\n`);
}

function head({ type, retry, id }: EventFields): string {
  let text = "";
  if (type !== undefined) text += `event: ${oneLine("type", type)}\n`;
  if (retry !== undefined) text += `retry: ${milliseconds(retry)}\n`;
  if (id !== undefined) text += `id: ${withoutNull(oneLine("id", id))}\n`;
  return text;
}

/** Two searches for one character are several times faster than one for a set of them. */
function isOneLine(text: string): boolean {
  return !text.includes("\n") && !text.includes("\r");
}

function oneLine(field: string, text: string): string {
  if (!isOneLine(text)) throw new ProtocolError("invalid", `${field} has a line end in it`);
  return text;
}

function withoutNull(id: string): string {
  if (id.includes("\0")) throw new ProtocolError("invalid", "id has a NUL in it: browsers would ignore it");
  return id;
}

/** Digits only, as the standard asks: "1e21" would be ignored. */
function milliseconds(retry: number): number {
  if (Number.isSafeInteger(retry) && retry >= 0) return retry + 0;
  throw new ProtocolError("invalid", `retry must be a whole number of milliseconds, not ${retry}`);
}

type Block = { -readonly [K in keyof EventFields]: EventFields[K] };

/**
 * Reads a stream from its beginning, by the letter of the standard; nothing is an error. Gives one entry for each block that
 * ends with a blank line and has at least one known field, also where a browser would dispatch no event for want of data.
 * Each holds its own fields only: an id is not carried on to later entries, as a browser does it. What follows the last blank
 * line is not there yet.
 */
export function decodeEvents(text: string): EventFields[] {
  const events: EventFields[] = [];
  let block: Block = {};
  for (const line of wholeLines(text.startsWith("\u{feff}") ? text.slice(1) : text)) {
    if (line !== "") readField(line, block);
    else {
      if (Object.keys(block).length > 0) events.push(block);
      block = {};
    }
  }
  return events;
}

/** Without the last, which has no end yet. A CR at the very end does end its line: the LF that may follow is no other one. */
function wholeLines(text: string): string[] {
  return text.split(LINE_END).slice(0, -1);
}

function readField(line: string, block: Block): void {
  const colon = line.indexOf(":");
  const name = colon < 0 ? line : line.slice(0, colon);
  const value = colon < 0 ? "" : line.slice(line[colon + 1] === " " ? colon + 2 : colon + 1);
  if (name === "data") block.data = block.data === undefined ? value : `${block.data}\n${value}`;
  else if (name === "event") block.type = value;
  else if (name === "id" && !value.includes("\0")) block.id = value;
  else if (name === "retry" && /^[0-9]+$/.test(value)) block.retry = Number(value);
}
