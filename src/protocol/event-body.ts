/** The bodies of HTTP requests that publish: their media types, and what each of them holds. Forms are read by http/form.ts. */
import { isBinaryCloudEvent, readBinaryCloudEvent, readCloudEvent } from "./cloud-events.js";
import type { Draft } from "./draft.js";
import { type BatchRules, checkBatchSize, isJsonArray, parseJsonArray, parseJsonLines } from "./event-batch.js";
import { atMost, textOf } from "./event-fault.js";
import { parseJson, type ReadEvent, readJsonEvent } from "./json-event.js";
import { LIMITS } from "./limits.js";
import { type Headers, type HttpRequest, header } from "./request.js";

/** Media types of events, besides that of forms. Binary CloudEvents may have any. */
export const EVENT_TYPES = [
  "application/json",
  "application/x-ndjson",
  "application/cloudevents+json",
  "application/cloudevents-batch+json",
] as const;

export interface EventBody {
  readonly drafts: readonly Draft[];
  /** Whether the body has the form of a batch, which may have one event. */
  readonly isBatch: boolean;
}

type Parser = (body: Buffer, rules: BatchRules) => EventBody;

const PARSERS: Readonly<Record<(typeof EVENT_TYPES)[number], Parser>> = {
  "application/json": (body, rules) => (isJsonArray(body) ? arrayOf : single)(body, readJsonEvent, rules),
  "application/x-ndjson": linesOf,
  "application/cloudevents+json": (body, rules) => single(body, readCloudEvent, rules),
  "application/cloudevents-batch+json": (body, rules) => arrayOf(body, readCloudEvent, rules),
};

/**
 * Parses a body by its content type; undefined = the type is not supported. Throws a ProtocolError: InvalidEvents with every fault of
 * every event.
 */
export function parseEventBody(
  request: Pick<HttpRequest, "headers" | "body">,
  rules: BatchRules,
): EventBody | undefined {
  const { headers, body } = request;
  const type = mediaTypeOf(headers);
  if (isBinaryCloudEvent(headers) && !type.startsWith("application/cloudevents")) {
    checkSingleSize(body);
    return { drafts: [readBinaryCloudEvent(headers, body, rules)], isBatch: false };
  }
  return isSupported(type) ? PARSERS[type](body, rules) : undefined;
}

/** The content type without its parameters, in lower case; "" = none. */
function mediaTypeOf(headers: Headers): string {
  const [type = ""] = (header({ headers }, "content-type") ?? "").split(";", 1);
  return type.trim().toLowerCase();
}

const isSupported = (type: string): type is keyof typeof PARSERS => Object.hasOwn(PARSERS, type);

function single(body: Buffer, read: ReadEvent, rules: BatchRules): EventBody {
  checkSingleSize(body);
  const text = textOf(body, "the body");
  return { drafts: [read(parseJson(text), () => text, rules)], isBatch: false };
}

function arrayOf(body: Buffer, read: ReadEvent, rules: BatchRules): EventBody {
  checkBatchSize(body.length, rules.limits);
  return { drafts: parseJsonArray(textOf(body, "the body"), read, rules), isBatch: true };
}

function linesOf(body: Buffer, rules: BatchRules): EventBody {
  checkBatchSize(body.length, rules.limits);
  return { drafts: parseJsonLines(textOf(body, "the body"), readJsonEvent, rules), isBatch: true };
}

function checkSingleSize({ length }: Buffer): void {
  atMost(length, LIMITS.messageBytes, "the body");
}
