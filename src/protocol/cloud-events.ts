/**
 * CloudEvents 1.0 to events (docs/decisions/0043-cloudevents-become-events.md has the mapping). Structured mode and batches are JSON objects
 * (JSON Event Format for CloudEvents); in binary mode the attributes are HTTP headers and the body is the data (HTTP Protocol Binding,
 * section 3.1). Attributes that are not named here are ignored: they are open to extension.
 */
import { isUtf8 } from "node:buffer";
import { createHash } from "node:crypto";
import { ProtocolError } from "../errors.js";
import { checkDraft, type Draft, type DraftRules, faultsOfDraft } from "./draft.js";
import { type EventFault, faultOf, InvalidEvents, invalid } from "./event-fault.js";
import { asObject, type JsonObject } from "./json-event.js";
import { memberSource } from "./json-source.js";
import { LIMITS } from "./limits.js";
import { type Headers, header } from "./request.js";
import { readTraceparent } from "./traceparent.js";

const ATTRIBUTE_PREFIX = "ce-";

/** Whether a request is a CloudEvent in binary mode. */
export const isBinaryCloudEvent = (headers: Headers): boolean => headers.has(`${ATTRIBUTE_PREFIX}specversion`);

/** A CloudEvent in structured mode, or one of a batch; see ReadEvent. */
export function readCloudEvent(value: unknown, source: () => string, rules: DraftRules): Draft {
  const json = asObject(value);
  return toDraft(json, () => dataOfJson(json, source), rules);
}

/** A CloudEvent in binary mode. Throws InvalidEvents. */
export function readBinaryCloudEvent(headers: Headers, body: Buffer, rules: DraftRules): Draft {
  return toDraft(attributesOf(headers), () => textOf(body), rules);
}

type Attributes = JsonObject;

function toDraft(attributes: Attributes, data: () => string, rules: DraftRules): Draft {
  const faults = faultsOfAttributes(attributes, data);
  if (faults.length > 0) throw new InvalidEvents(faults);
  const draft: Draft = {
    topics: [textAt(attributes, "topic") ?? textAt(attributes, "subject") ?? required(attributes, "source")],
    data: data(),
    type: required(attributes, "type"),
    private: flagAt(attributes, "private"),
    key: keyOf(required(attributes, "source"), required(attributes, "id")),
    ...traceOf(attributes),
  };
  try {
    checkDraft(draft, rules);
    return draft;
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error;
    throw new InvalidEvents(faultsOfDraft(draft, rules));
  }
}

function faultsOfAttributes(attributes: Attributes, data: () => string): EventFault[] {
  const checks: readonly [string, () => unknown][] = [
    ["specversion", () => checkVersion(attributes)],
    ["id", () => required(attributes, "id")],
    ["source", () => required(attributes, "source")],
    ["type", () => required(attributes, "type")],
    ["subject", () => textAt(attributes, "subject")],
    ["topic", () => textAt(attributes, "topic")],
    ["private", () => flagAt(attributes, "private")],
    ["data", data],
  ];
  return checks.flatMap(([member, check]) => faultOf(member, check) ?? []);
}

function checkVersion({ specversion }: Attributes): void {
  if (specversion !== "1.0") throw invalid('"specversion" must be "1.0"');
}

function required(attributes: Attributes, name: string): string {
  const text = textAt(attributes, name);
  if (text === undefined) throw invalid(`"${name}" is missing`);
  return text;
}

/** In JSON an attribute that is null is absent. */
function textAt(attributes: Attributes, name: string): string | undefined {
  const value = attributes[name] ?? undefined;
  if (value === undefined || (typeof value === "string" && value !== "")) return value;
  throw invalid(`"${name}" must be a text that is not empty`);
}

/** A Boolean of JSON, or its canonical text form. */
function flagAt(attributes: Attributes, name: string): boolean {
  const value = attributes[name] ?? false;
  if (typeof value === "boolean") return value;
  if (value === "true" || value === "false") return value === "true";
  throw invalid(`"${name}" must be true or false`);
}

/** The extension "Distributed Tracing". */
function traceOf({ traceparent: value }: Attributes): Pick<Draft, "traceparent"> {
  const traceparent = typeof value === "string" ? readTraceparent(value) : undefined;
  return traceparent === undefined ? {} : { traceparent };
}

/**
 * Source and id identify a CloudEvent: a repeat of both is a repeat of the event (CloudEvents, "id"). A key that would be too long is
 * replaced by its digest.
 */
function keyOf(source: string, id: string): string {
  const key = `${source} ${id}`;
  return key.length <= LIMITS.keyLength ? key : `sha256 ${createHash("sha256").update(key).digest("base64url")}`;
}

/** Text as it is, any other JSON value as it stands in the source; binary data must be text. */
function dataOfJson(json: JsonObject, source: () => string): string {
  const { data, data_base64: encoded } = json;
  if (encoded !== undefined && encoded !== null) {
    if (data !== undefined) throw invalid('either "data" or "data_base64", not both');
    return textOf(decodeBase64(encoded));
  }
  if (data === undefined) return "";
  return typeof data === "string" ? data : (memberSource(source(), "data") ?? "");
}

function decodeBase64(encoded: unknown): Buffer {
  if (typeof encoded === "string" && /^[A-Za-z0-9+/]*={0,2}$/.test(encoded) && encoded.length % 4 === 0) {
    return Buffer.from(encoded, "base64");
  }
  throw invalid('"data_base64" is not base64');
}

function textOf(bytes: Buffer): string {
  if (isUtf8(bytes)) return bytes.toString();
  throw invalid("the data is not UTF-8: a stream carries text only; fix: encode it as text");
}

/** The attributes of binary mode. Throws "invalid" for a header that cannot be decoded. */
function attributesOf(headers: Headers): Attributes {
  const attributes: Record<string, string> = Object.create(null);
  for (const name of headers.keys()) {
    if (!name.startsWith(ATTRIBUTE_PREFIX)) continue;
    attributes[name.slice(ATTRIBUTE_PREFIX.length)] = decodeHeader(name, header({ headers }, name) ?? "");
  }
  return attributes;
}

/** HTTP Protocol Binding, section 3.1.3.2: a quoted string is unquoted, then percent-encoded UTF-8 is decoded. */
function decodeHeader(name: string, value: string): string {
  const isQuoted = value.length > 1 && value.startsWith('"') && value.endsWith('"');
  const text = isQuoted ? value.slice(1, -1).replace(/\\(.)/gs, "$1") : value;
  try {
    return text.replace(/(?:%[0-9A-Fa-f]{2})+/g, decodeURIComponent);
  } catch {
    throw invalid(`${name} has percent-encoded bytes that are not UTF-8`);
  }
}
