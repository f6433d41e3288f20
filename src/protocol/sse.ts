/**
 * Codec of server-sent events, the text of an EventSource stream (WHATWG HTML, 9.2.5 and 9.2.6).
 *
 * A value cannot inject another field. A line ends at CR, LF or CRLF only: in data each of them begins a new `data` line (the page
 * receives LF for all three), in other fields the encoder throws "invalid". Other special characters:
 * - Browsers drop U+FEFF only as the first character of a stream, and a stream of the daemon begins with a field name or a colon.
 *   In data it is preserved, also at the beginning.
 * - U+0000 in an id makes browsers ignore the id, so the encoder throws "invalid". In data it is preserved.
 * - A browser strips one space after the colon. The encoder always writes one, so that leading spaces of a value are preserved.
 * - A lone surrogate has no UTF-8 encoding; it becomes U+FFFD.
 */
import { ProtocolError } from "../errors.js";

/** One event. An absent field is not written: the id and the retry time of an earlier event then remain valid. */
export interface EventFields {
  /** The value that a browser sends as Last-Event-ID from now on; "" = none. */
  readonly id?: string;
  /** The name of the DOM event; absent and "" are "message". */
  readonly type?: string | undefined;
  /** Delay before reconnecting, a whole number of milliseconds. */
  readonly retry?: number | undefined;
  /** Absent = the browser dispatches no event but applies the id and the retry time. "" is an event with empty data. */
  readonly data?: string;
}

const LINE_END = /\r\n|\r|\n/g;

/** Encodes the event with its blank line. Throws "invalid" for a field that no stream can contain: see above. */
export function encodeEvent(event: EventFields): Buffer {
  const { data } = event;
  if (data === undefined) return Buffer.from(`${head(event)}\n`);
  return Buffer.from(`${head(event)}data: ${isOneLine(data) ? data : data.replace(LINE_END, "\ndata: ")}\n\n`);
}

/** Returns encodeEvent(event).length; encodes the event only if its data has several lines. */
export function eventSize(event: EventFields): number {
  const { data } = event;
  if (data !== undefined && !isOneLine(data)) return encodeEvent(event).length;
  return Buffer.byteLength(head(event)) + (data === undefined ? 1 : "data: \n\n".length + Buffer.byteLength(data));
}

/**
 * Encodes text that browsers ignore: each line becomes a comment. Adds no blank line, because some libraries
 * (@microsoft/fetch-event-source) dispatch an event for each block that a blank line ends, also for a block of comments.
 */
export function encodeComment(text: string): Buffer {
  return Buffer.from(`:${isOneLine(text) ? text : text.replace(LINE_END, "\n:")}\n`);
}

/** Encodes the retry time alone, in milliseconds: it applies at the end of its line, and without a blank line it is not a block (see above). */
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

/** Two searches for one character each are several times faster than one search for a set. */
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

/** Digits only, as the standard requires: browsers ignore "1e21". */
function milliseconds(retry: number): number {
  if (Number.isSafeInteger(retry) && retry >= 0) return retry + 0;
  throw new ProtocolError("invalid", `retry must be a whole number of milliseconds, not ${retry}`);
}

type Block = { -readonly [K in keyof EventFields]: EventFields[K] };

/**
 * Decodes a stream from its beginning as the standard defines it; it never throws. Returns one entry for each block that ends with
 * a blank line and has at least one known field, also if a browser would dispatch no event because data is absent. Each entry has
 * its own fields only: unlike in a browser, an id does not apply to later entries. Text after the last blank line is ignored.
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

/** Omits the last line, which has no end yet. A CR at the end of the text ends its line: an LF after it would not end another. */
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
