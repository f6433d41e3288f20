/** The errors that a route answers, for its documentation. */
import { count, list, object, optional, type Schema, text, word } from "../../api-docs/json-schema.js";
import type { ContentDocs, ResponseDocs } from "../../api-docs/operation.js";
import type { EventFault } from "../../protocol/event-fault.js";
import { REPLY_CODES } from "../error-response.js";

const FAULT: Schema<EventFault> = object("One fault of one event.", {
  line: optional(count("Line of the event in a batch of JSON lines, counted from 1.")),
  index: optional(count("Index of the event in a JSON array, counted from 0.")),
  member: optional(text("The member or attribute of the event. Absent: the event as a whole.")),
  code: word("The error code.", REPLY_CODES),
  detail: text("What is wrong, and what was expected."),
});

interface Problem {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly detail?: string;
  readonly code: (typeof REPLY_CODES)[number];
  readonly faults?: readonly EventFault[];
}

const PROBLEM: Schema<Problem> = object("Problem details (RFC 9457), for clients that accept them or JSON.", {
  type: text("Always about:blank."),
  title: text("The reason phrase of the status."),
  status: count("The status."),
  detail: optional(text("What happened, what was expected, and a fix.")),
  code: word("The error code.", REPLY_CODES),
  faults: optional(list("Every fault of the events of the request.", FAULT)),
});

/** An error is text, or problem details where they are accepted. */
export const ERROR_CONTENT: ContentDocs = {
  "text/plain": { type: "string" },
  "application/problem+json": PROBLEM.json,
};

const TEXTS = {
  400: "The request is malformed, or a limit of its parameters is exceeded.",
  401: "No token, or none that is valid.",
  403: "The token does not allow this.",
  404: "There is no such resource.",
  411: "A body needs a Content-Length, and no Transfer-Encoding.",
  412: "The condition of the request does not hold.",
  413: "The request or an event is larger than a limit.",
  415: "The content type or coding is not supported.",
  421: "This host is not served: [hub] hosts.",
  422: "The idempotency key was used for something else.",
  429: "A rate or a limit of this client is reached. Retry-After says when to try again.",
  500: "A defect of the daemon. The log has it.",
  501: "Not supported in this configuration.",
  503: "A limit is reached, or events cannot be stored now. Retry-After says when to try again.",
} as const;

type ErrorStatus = keyof typeof TEXTS;

/** What the route table answers on every path. */
const COMMON_STATUSES: readonly ErrorStatus[] = [411, 421, 500];

/** The documentation of responses with these statuses, and those of every path. */
export function errorDocs(...statuses: readonly ErrorStatus[]): Record<number, ResponseDocs> {
  const all = [...new Set([...statuses, ...COMMON_STATUSES])].sort((a, b) => a - b);
  return Object.fromEntries(all.map((status) => [status, { doc: TEXTS[status], content: ERROR_CONTENT }]));
}
