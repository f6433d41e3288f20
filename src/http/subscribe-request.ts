/**
 * Parses what a request subscribes to. The plain EventSource address and the hub's address take different parameters; both give the same
 * SubscribeRequest. After a restart of Mongrel2 all browsers reconnect at once, most with the same query: the last query is cached.
 */

import type { EqualIds } from "../delivery/history.js";
import { ProtocolError } from "../errors.js";
import type { CompileWork } from "../matching/compile-work.js";
import type { Interest } from "../matching/interest.js";
import { canonical, parseSelector } from "../matching/selector.js";
import { LIMITS } from "../protocol/limits.js";
import type { HttpRequest } from "../protocol/request.js";
import type { CompileQueue } from "./compile-queue.js";
import { type Form, isForm, parseForm, parseFormBody, valuesOf } from "./form.js";
import { lastEventIdIn } from "./last-event-id.js";
import type { MercureDialect, RequestedSelector } from "./mercure/dialect.js";
import type { Dialects } from "./mercure/dialects.js";
import { v0 } from "./mercure/v0.js";
import { type StateRequest, stateRequestIn } from "./state-parameters.js";

/** The parameters of a subscribe request. */
export interface SubscribeParameters {
  readonly selectors: readonly RequestedSelector[];
  /** The last event id in the address or body; a header that is not empty has priority. "" = present and empty. */
  readonly lastEventId: string | undefined;
  /** Which publication the last event id names where publishers used it several times; absent = the oldest. */
  readonly equalIds?: EqualIds;
  /** What the stream starts with if there is no last event id; undefined = now. */
  readonly state: StateRequest | undefined;
  /** The response header that says where the replay begins, if one was requested; absent = none is sent. */
  readonly lastEventIdHeader?: string;
  /** Other clients may see the subscription. */
  readonly isListed: boolean;
  readonly hasHeartbeatEvents: boolean;
  /** Its topics can be changed while the stream is open (`control=1`). */
  readonly isControlled: boolean;
  readonly dialect: MercureDialect;
}

export interface SubscribeRequest extends SubscribeParameters {
  /** The compiled selectors, without grants: the same object for consecutive requests with the same query. */
  readonly interest: Interest;
}

type ReadParameters = (request: HttpRequest) => SubscribeParameters;

/** For the plain EventSource address. `base` is the hub's URL. */
export const streamRequests = (base: string, queue: CompileQueue): SubscribeRequestParser =>
  new SubscribeRequestParser(readStreamParameters, base, queue);

/** For the hub's address. */
export const hubRequests = (base: string, queue: CompileQueue, dialects: Dialects): SubscribeRequestParser =>
  new SubscribeRequestParser((request) => readHubParameters(request, dialects), base, queue);

export class SubscribeRequestParser {
  readonly #read: ReadParameters;
  readonly #base: string;
  readonly #queue: CompileQueue;
  #last: { readonly query: string; readonly parsed: SubscribeRequest } | undefined;

  constructor(read: ReadParameters, base: string, queue: CompileQueue) {
    this.#read = read;
    this.#base = base;
    this.#queue = queue;
  }

  /**
   * Throws or rejects with a ProtocolError for a request that must be rejected. A promise if its patterns must be compiled later; it
   * rejects with "unavailable" if too many requests are queued.
   */
  parse(request: HttpRequest): SubscribeRequest | Promise<SubscribeRequest> {
    const isCacheable = request.body.length === 0;
    if (isCacheable && this.#last?.query === request.query) return this.#last.parsed;
    const parameters = this.#read(request);
    checkSelectorBytes(parameters.selectors);
    const compile = (work?: CompileWork) => {
      const parsed = { ...parameters, interest: this.#compile(parameters, work) };
      if (isCacheable) this.#last = { query: request.query, parsed };
      return parsed;
    };
    return parameters.selectors.some(isPattern) ? this.#queue.compile(compile) : compile();
  }

  #compile({ selectors, hasHeartbeatEvents }: SubscribeParameters, work: CompileWork | undefined): Interest {
    const compiled = selectors.map(({ selects, value }) => parseSelector(selects, value, this.#base, work));
    const interest = { selectors: canonical(compiled), grants: [] };
    return hasHeartbeatEvents ? { ...interest, hasHeartbeatEvents } : interest;
  }
}

/** Whether it may need compilation. */
export function isPattern({ selects, value }: RequestedSelector): boolean {
  return selects === "urlpattern" || (selects === "template" && value.includes("{"));
}

/** Throws "too_large" for selectors that one stream may not have together. */
export function checkSelectorBytes(selectors: readonly { readonly value: string }[]): void {
  const bytes = selectors.reduce((sum, { value }) => sum + Buffer.byteLength(value), 0);
  if (bytes <= LIMITS.selectorsBytes) return;
  const limit = `at most ${LIMITS.selectorsBytes} are accepted`;
  throw new ProtocolError("too_large", `the selectors have ${bytes} bytes together, ${limit}`);
}

/** Throws "invalid" for a value that is not supported. */
function readControl(form: Form): boolean {
  const values = valuesOf(form, "control");
  if (values.every((value) => value === "1")) return values.length > 0;
  throw new ProtocolError("invalid", "control has another value than 1; fix: control=1, or leave it out");
}

/** Throws "invalid" for a value that is not supported. */
function readHeartbeat(form: Form): boolean {
  const values = valuesOf(form, "heartbeat");
  if (values.every((value) => value === "event")) return values.length > 0;
  throw new ProtocolError("invalid", "heartbeat has a bad value; fix: heartbeat=event, or leave it out");
}

const readStreamOptions = (form: Form) => ({
  hasHeartbeatEvents: readHeartbeat(form),
  isControlled: readControl(form),
});

// ---- The plain EventSource address -----------------------------------------------------------------------------------

const EVERYTHING: Form = [["topic", "*"]];

/** By priority, where an address has the last event id under several names. */
const LAST_EVENT_ID_NAMES = ["last_event_id", "lastEventID", "Last-Event-ID"];

/**
 * Every public event, or the topics of `topic` parameters as in Mercure 0.x. Of equal ids of publishers the newest counts (Mercure: the
 * oldest): with a publisher that counts from 1 after each restart, the oldest would replay everything since its first start.
 */
function readStreamParameters({ query }: HttpRequest): SubscribeParameters {
  const form = parseForm(query);
  const selectors = v0.requestedSelectors(valuesOf(form, "topic").length > 0 ? form : EVERYTHING);
  const lastEventId = lastEventIdIn(form, LAST_EVENT_ID_NAMES);
  const common = { equalIds: "newest", isListed: false, dialect: v0 } as const;
  return { selectors, lastEventId, state: stateRequestIn(form), ...common, ...readStreamOptions(form) };
}

// ---- The hub's address -----------------------------------------------------------------------------------------------

/** Query and body together; of two last event ids that of the query counts, unless it is empty. */
function readHubParameters(request: HttpRequest, dialects: Dialects): SubscribeParameters {
  const [query, body] = [parseForm(request.query), readBody(request)];
  const form: Form = [...query, ...body];
  const dialect = dialects.ofQuery(form);
  const inQuery = dialect.lastEventId(query);
  const lastEventId = inQuery || (dialect.lastEventId(body) ?? inQuery);
  const { lastEventIdHeader } = dialect;
  const selectors = dialect.requestedSelectors(form);
  const own = { lastEventIdHeader, isListed: true, dialect };
  return { selectors, lastEventId, state: stateRequestIn(form), ...own, ...readStreamOptions(form) };
}

/** Only QUERY (RFC 10008) has a body, which must state its type. */
function readBody(request: HttpRequest): Form {
  if (request.method !== "QUERY" || request.body.length === 0) return [];
  if (isForm(request)) return parseFormBody(request.body);
  throw new ProtocolError("invalid", "the body is not application/x-www-form-urlencoded");
}
