/**
 * PATCH of an open stream at `<hub>/streams/<name>`: adds and removes topics (docs/subscribe.md). Parse, authorize, act. A name that nobody has
 * costs a look-up: it is checked before the parameters are read.
 */
import type { JsonValue } from "../../delivery/subscriber.js";
import { covers } from "../../matching/selector.js";
import type { HttpRequest } from "../../protocol/request.js";
import { isResponse, type Principal } from "../access.js";
import { errorResponse, rejection } from "../error-response.js";
import { FORM_TYPE, type Form, isForm, parseFormBody, rejectEncodedBody } from "../form.js";
import type { Response } from "../response.js";
import type { RouteMethod } from "../route-table.js";
import type { LiveSettings } from "../settings.js";
import { isStreamName, ownerOf } from "../stream-identity.js";
import type { ChangedTopics, TopicChangeRequest } from "../topic-changes.js";

export interface StreamsDeps {
  /** The route's path, which ends in "/": a name follows. */
  readonly path: string;
  /** The hub's URL. */
  readonly base: string;
  readonly settings: LiveSettings;
  /** See TopicChanges.change(). */
  readonly change: (request: TopicChangeRequest) => Promise<ChangedTopics>;
}

/** What PATCH accepts (RFC 5789 section 3.1). */
export const ACCEPT_PATCH = { "Accept-Patch": FORM_TYPE };
const NOT_A_FORM = `the body is not ${FORM_TYPE}\n`;

export class StreamsRoute {
  readonly #deps: StreamsDeps;

  constructor(deps: StreamsDeps) {
    this.#deps = deps;
  }

  readonly handle: RouteMethod = async (_, request) => {
    const response = await this.#patch(request).catch(errorResponse);
    return { ...response, persists: true };
  };

  async #patch(request: HttpRequest): Promise<Response> {
    const encoded = rejectEncodedBody(request);
    if (encoded) return encoded;
    if (!isForm(request)) return rejection("unsupported_type", { headers: ACCEPT_PATCH, body: NOT_A_FORM });
    const stream = request.path.slice(this.#deps.path.length);
    if (!isStreamName(stream)) return rejection("not_found");
    const principal = await this.#deps.settings.current.access.subscriber(request);
    if (isResponse(principal)) return principal;
    const form = parseFormBody(request.body);
    const payloads = this.#payloads(form, principal);
    const { position, parameters } = await this.#deps.change({ stream, owner: ownerOf(principal), form, payloads });
    const body = `${JSON.stringify({ position, ...parameters })}\n`;
    return { status: 200, headers: { "Content-Type": "application/json" }, body };
  }

  /** What the token shows others of a subscriber with the added selectors: see SubscribeRoute. */
  #payloads(form: Form, principal: Principal): Record<string, JsonValue> {
    if (principal === "anonymous" || principal.payloads.length === 0) return {};
    const shown: [string, JsonValue][] = [];
    for (const [name, match] of form) {
      if (!name.startsWith("add")) continue;
      const entry = principal.payloads.find(({ topics }) => covers(topics, [match], this.#deps.base));
      if (entry?.payload !== undefined) shown.push([match, entry.payload]);
    }
    return Object.fromEntries(shown);
  }
}
