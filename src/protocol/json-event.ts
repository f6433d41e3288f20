/**
 * An event as a JSON object: `{"topic" or "topics", "data", "id"?, "type"?, "retry"?, "private"?, "ttl"?, "final"?, "key"?, "traceparent"?}`. A
 * string is the data as text; any other value of `data` is passed on as it stands in the source. An id or type that is "" counts as absent.
 */
import { ProtocolError } from "../errors.js";
import { checkDraft, type Draft, type DraftRules, faultsOfDraft } from "./draft.js";
import { type EventFault, faultOf, InvalidEvents, invalid, quote } from "./event-fault.js";
import { memberSource } from "./json-source.js";
import { readTraceparent } from "./traceparent.js";
import { readTtl } from "./ttl.js";

export type JsonObject = Readonly<Record<string, unknown>>;

/** Reads an event from a parsed value; `source` returns its text. Throws a ProtocolError: InvalidEvents with every fault of its members. */
export type ReadEvent = (value: unknown, source: () => string, rules: DraftRules) => Draft;

/** The optional members, each with its reader. A reader returns the value for the draft; undefined = absent. */
const OPTION_READERS = {
  id: (id: unknown) => readText("id", id) || undefined,
  type: (type: unknown) => readText("type", type) || undefined,
  retry(retry: unknown): number | undefined {
    if (retry === undefined || typeof retry === "number") return retry;
    throw invalid('"retry" must be a number');
  },
  private: (isPrivate: unknown) => readFlag("private", isPrivate),
  ttl: (ttl: unknown) => (ttl === undefined ? undefined : readTtl(ttl)),
  final: (isFinal: unknown) => readFlag("final", isFinal) || undefined,
  key: (key: unknown) => readText("key", key),
  traceparent: readTraceparent,
};

/** Members of the options of a ZeroMQ message. */
const OPTION_NAMES = Object.keys(OPTION_READERS);
const EVENT_NAMES = ["topic", "topics", "data", ...OPTION_NAMES];

/** The names of the optional members. */
export type EventOption = keyof typeof OPTION_READERS;

/** See ReadEvent. */
export function readJsonEvent(value: unknown, source: () => string, rules: DraftRules): Draft {
  const json = asObject(value);
  try {
    checkNames(json, EVENT_NAMES);
    const draft = { topics: readTopics(json), data: readData(json, source), ...readOptions(json) };
    checkDraft(draft, rules);
    return draft;
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error;
    throw new InvalidEvents(faultsOfEvent(json, source, rules));
  }
}

/** Reads the options of a ZeroMQ message from a JSON object of its own. */
export function readOptionsObject(value: unknown): Omit<Draft, "topics" | "data"> {
  const json = asObject(value);
  checkNames(json, OPTION_NAMES);
  return readOptions(json);
}

/** Throws "invalid". */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // The parser's message quotes the text, which may be private.
    throw invalid("broken JSON");
  }
}

export function asObject(value: unknown): JsonObject {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as JsonObject;
  throw invalid("JSON must be an object");
}

/** Collects what readJsonEvent() rejects: of the members alone, then of a draft of those that can be read. */
function faultsOfEvent(json: JsonObject, source: () => string, rules: DraftRules): EventFault[] {
  const faults: EventFault[] = [];
  const draft: { -readonly [K in keyof Draft]: Draft[K] } = { topics: ["-"], data: "", private: false };
  const collect = (member: string | undefined, read: () => unknown): void => {
    const fault = faultOf(member, read);
    if (fault) faults.push(fault);
  };
  collect(undefined, () => checkNames(json, EVENT_NAMES));
  collect("topic", () => Object.assign(draft, { topics: readTopics(json) }));
  collect("data", () => Object.assign(draft, { data: readData(json, source) }));
  for (const [name, read] of Object.entries(OPTION_READERS)) {
    collect(name, () => Object.assign(draft, { [name === "ttl" ? "ttlMs" : name]: read(json[name]) }));
  }
  return [...faults, ...faultsOfDraft(draft, rules)];
}

function checkNames(json: JsonObject, known: readonly string[]): void {
  for (const name in json) {
    if (!known.includes(name)) throw invalid(`unknown key ${quote(name)}: known are ${known.join(", ")}`);
  }
}

function readTopics({ topic, topics }: JsonObject): readonly [string, ...string[]] {
  if (topic !== undefined && topics !== undefined) throw invalid('either "topic" or "topics", not both');
  const all: unknown = topics ?? (topic === undefined ? undefined : [topic]);
  if (all === undefined) throw invalid('"topic" is missing');
  if (!Array.isArray(all) || !all.every((it) => typeof it === "string")) {
    throw invalid('"topic" must be a string, "topics" a list of strings');
  }
  const [first, ...rest] = all;
  if (first === undefined) throw invalid('"topics" is empty');
  return [first, ...rest];
}

function readData({ data }: JsonObject, source: () => string): string {
  if (data === undefined) throw invalid('"data" is missing');
  return typeof data === "string" ? data : (memberSource(source(), "data") ?? "");
}

/** The optional members of an event. */
export function readOptions(json: JsonObject): Omit<Draft, "topics" | "data"> {
  const id = OPTION_READERS.id(json.id);
  const type = OPTION_READERS.type(json.type);
  const retry = OPTION_READERS.retry(json.retry);
  const ttlMs = OPTION_READERS.ttl(json.ttl);
  const final = OPTION_READERS.final(json.final);
  const key = OPTION_READERS.key(json.key);
  const traceparent = OPTION_READERS.traceparent(json.traceparent);
  return {
    private: OPTION_READERS.private(json.private),
    ...(id !== undefined && { id }),
    ...(type !== undefined && { type }),
    ...(retry !== undefined && { retry }),
    ...(ttlMs !== undefined && { ttlMs }),
    ...(final && { final }),
    ...(key !== undefined && { key }),
    ...(traceparent !== undefined && { traceparent }),
  };
}

function readFlag(name: string, flag: unknown): boolean {
  if (flag === undefined || typeof flag === "boolean") return flag ?? false;
  throw invalid(`"${name}" must be true or false`);
}

function readText(name: string, text: unknown): string | undefined {
  if (text === undefined || typeof text === "string") return text;
  throw invalid(`"${name}" must be a string`);
}
