/** Batches of events: a JSON array, or JSON lines. A batch is taken as a whole, or refused with the faults of all its events. */
import { ProtocolError } from "../errors.js";
import type { Draft, DraftRules } from "./draft.js";
import { type EventFault, InvalidEvents, invalid, tooLarge } from "./event-fault.js";
import { parseJson, type ReadEvent } from "./json-event.js";
import { elementSources } from "./json-source.js";

export interface BatchLimits {
  /** Events of one batch: [publish] max_batch. */
  readonly maxEvents: number;
  /** Size of one batch as it is sent, bytes: [publish] max_batch_bytes. */
  readonly maxBytes: number;
}

/** What a batch must satisfy. */
export interface BatchRules extends DraftRules {
  readonly limits: BatchLimits;
}

const WHITE_SPACE_BYTES: ReadonlySet<number> = new Set([0x20, 0x09, 0x0a, 0x0d]);

/** The first character that is no white space; undefined = there is none. */
export function firstCharacter(bytes: Buffer): string | undefined {
  const first = bytes.find((byte) => !WHITE_SPACE_BYTES.has(byte));
  return first === undefined ? undefined : String.fromCharCode(first);
}

/** Whether JSON begins as an array. */
export const isJsonArray = (bytes: Buffer): boolean => firstCharacter(bytes) === "[";

/** Throws "too_large" for a batch of this many bytes. */
export function checkBatchSize(bytes: number, { maxBytes }: BatchLimits): void {
  if (bytes > maxBytes) {
    throw tooLarge(`the batch has ${bytes} bytes, at most ${maxBytes} are taken ([publish] max_batch_bytes)`);
  }
}

/** A JSON array of events. Throws a ProtocolError; InvalidEvents names faults by the index of their event. */
export function parseJsonArray(text: string, read: ReadEvent, rules: BatchRules): readonly Draft[] {
  const values = parseJson(text);
  if (!Array.isArray(values)) throw invalid("a batch is a JSON array");
  checkCount(values.length, rules.limits);
  let sources: readonly string[] | undefined;
  const sourceOf = (index: number): string => {
    sources ??= elementSources(text);
    return sources[index] ?? "";
  };
  return readAll(values, (value, index) => ({
    at: { index },
    read: () => read(value, () => sourceOf(index), rules),
  }));
}

/** One JSON event in each line; empty lines are skipped. Throws as parseJsonArray(), with the number of the line. */
export function parseJsonLines(text: string, read: ReadEvent, rules: BatchRules): readonly Draft[] {
  const events = eventLines(text);
  checkCount(events.length, rules.limits);
  return readAll(events, ({ source, line }) => ({
    at: { line },
    read: () => read(parseJson(source), () => source, rules),
  }));
}

/** The lines that are not empty. A body may have a line end in each of its bytes, so an empty line must cost little. */
function eventLines(text: string): readonly { readonly source: string; readonly line: number }[] {
  const events = [];
  for (let [at, line] = [0, 1]; at < text.length; line++) {
    const found = text.indexOf("\n", at);
    const end = found < 0 ? text.length : found;
    const source = end === at ? "" : text.slice(at, end);
    if (source !== "" && /[^ \t\r]/.test(source)) events.push({ source, line });
    at = end + 1;
  }
  return events;
}

function checkCount(count: number, { maxEvents }: BatchLimits): void {
  if (count === 0) throw invalid("the batch has no event in it");
  if (count > maxEvents) throw tooLarge(`${count} events, at most ${maxEvents} are taken ([publish] max_batch)`);
}

interface Entry {
  readonly at: { readonly line?: number; readonly index?: number };
  readonly read: () => Draft;
}

function readAll<T>(items: readonly T[], entryOf: (item: T, index: number) => Entry): readonly Draft[] {
  const faults: EventFault[] = [];
  const drafts: Draft[] = [];
  for (const [index, item] of items.entries()) {
    const { at, read } = entryOf(item, index);
    try {
      drafts.push(read());
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      faults.push(...faultsOf(error).map((fault) => ({ ...at, ...fault })));
    }
  }
  if (faults.length > 0) throw new InvalidEvents(faults);
  return drafts;
}

function faultsOf(error: ProtocolError): readonly EventFault[] {
  return error instanceof InvalidEvents ? error.faults : [{ code: error.code, detail: error.message }];
}
