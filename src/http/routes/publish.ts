/**
 * POST of the hub's address (Mercure, "Publishing"): authorize, parse, check, publish. The response is the event's id and is sent when the
 * event is as durable as configured. A rejected request publishes nothing.
 */
import { M2pushError, ProtocolError } from "../../errors.js";
import { coversAll } from "../../matching/selector.js";
import { isBinaryCloudEvent } from "../../protocol/cloud-events.js";
import { checkDraft, type Draft } from "../../protocol/draft.js";
import type { BatchLimits, BatchRules } from "../../protocol/event-batch.js";
import { EVENT_TYPES, parseEventBody } from "../../protocol/event-body.js";
import { type HttpRequest, header } from "../../protocol/request.js";
import { readTraceparent } from "../../protocol/traceparent.js";
import type { PublishTraces } from "../../publishing/publish-traces.js";
import type { Publisher } from "../../publishing/publisher.js";
import { isResponse, type Principal } from "../access.js";
import { readCondition } from "../condition-headers.js";
import { publishErrorResponse, rejection } from "../error-response.js";
import { FORM_TYPE, isForm, rejectEncodedBody } from "../form.js";
import { idempotencyKey } from "../idempotency-key.js";
import type { LargeBodyQueue } from "../large-body-queue.js";
import type { MercureDialect } from "../mercure/dialect.js";
import type { Dialects } from "../mercure/dialects.js";
import { parsePublishForm } from "../publish-form.js";
import { type PublishedForm, publishedResponse } from "../published-response.js";
import { scopeOf } from "../publisher-scope.js";
import type { Response } from "../response.js";
import type { RouteMethod } from "../route-table.js";
import type { LiveSettings } from "../settings.js";

export interface PublishDeps {
  readonly publisher: Pick<Publisher, "publish">;
  readonly batchLimits: BatchLimits;
  /** The hub's URL. */
  readonly base: string;
  readonly dialects: Dialects;
  readonly settings: LiveSettings;
  readonly queue: LargeBodyQueue;
  /** The time of traces; absent = they are off, and the header traceparent is not read. */
  readonly traces?: Pick<PublishTraces, "now"> | undefined;
  /** Called for each publication that is rejected. */
  readonly rejected: (error: M2pushError) => void;
}

export class PublishRoute {
  readonly #deps: PublishDeps;
  readonly #url: URL;

  constructor(deps: PublishDeps) {
    this.#deps = deps;
    this.#url = new URL(deps.base);
  }

  readonly handle: RouteMethod = async (_, request) => {
    const unsupported = rejectEncodedBody(request);
    if (unsupported) return unsupported;
    const response = await this.#publish(request).catch(publishErrorResponse);
    const { status, code, reason = `rejected with ${status}` } = response;
    if (code) this.#deps.rejected(new M2pushError(code, reason));
    return status < 500 ? { ...response, persists: true } : response;
  };

  async #publish(request: HttpRequest): Promise<Response> {
    const receivedAt = this.#deps.traces?.now();
    const principal = await this.#deps.settings.current.access.publisher(request);
    if (isResponse(principal)) return principal;
    return this.#deps.queue.run(request.body.length, () => this.#publishAs(principal, request, receivedAt));
  }

  async #publishAs(principal: Principal, request: HttpRequest, receivedAt: number | undefined): Promise<Response> {
    const { publisher, dialects, settings } = this.#deps;
    const dialect = dialects.ofPrincipal(principal);
    const parsed = this.#parse(request, dialect);
    if (!parsed) return unsupportedType(request);
    const { drafts, form } = parsed;
    if (!this.#grants(principal, drafts)) {
      return settings.current.access.insufficientScope(
        "the token grants publishing, but not on every topic of this update",
      );
    }
    const condition = readCondition(request);
    if (condition && form === "events") throw new ProtocolError("invalid", "a batch cannot have a condition");
    const key = idempotencyKey(request);
    const published = await publisher.publish({
      ...{ publisher: scopeOf(principal), receivedAt },
      drafts: receivedAt === undefined ? drafts : withTraceparent(request, drafts),
      ...(settings.current.visitors && principal === "anonymous" && { rateScope: `http ${request.remote}` }),
      ...(key !== undefined && { key }),
      ...(condition && { condition }),
    });
    return publishedResponse(form, published);
  }

  /** Undefined = the content type is not supported. */
  #parse(request: HttpRequest, dialect: MercureDialect): ParsedRequest | undefined {
    const rules: BatchRules = {
      limits: this.#deps.batchLimits,
      joiners: dialect.allowsJoiners,
      isReserved: (topic) => dialect.isReserved(topic, this.#url),
      reservedTopicCode: dialect.reservedTopicCode,
    };
    if (isForm(request) && !isBinaryCloudEvent(request.headers)) {
      const draft = parsePublishForm(request.body, dialect);
      checkDraft(draft, rules);
      return { drafts: [draft], form: "text" };
    }
    const body = parseEventBody(request, rules);
    return body && { drafts: body.drafts, form: body.isBatch ? "events" : "object" };
  }

  /** Whether the principal may publish on every topic of every event. All topics are compared at once: the work has one limit. */
  #grants(principal: Principal, drafts: readonly Draft[]): boolean {
    if (principal === "anonymous") return true;
    const topics = new Set(drafts.flatMap((draft) => draft.topics));
    return coversAll(principal.publish, [...topics], this.#url.href);
  }
}

interface ParsedRequest {
  readonly drafts: readonly Draft[];
  readonly form: PublishedForm;
}

/** The trace context of the request is that of each event without one of its own. */
function withTraceparent(request: HttpRequest, drafts: readonly Draft[]): readonly Draft[] {
  const traceparent = readTraceparent(header(request, "traceparent"));
  return traceparent === undefined ? drafts : drafts.map((draft) => ({ traceparent, ...draft }));
}

const ACCEPTED_TYPES = [FORM_TYPE, ...EVENT_TYPES].join(", ");

function unsupportedType(request: HttpRequest): Response {
  const type = header(request, "content-type") ?? "";
  const reason = type === "" ? "no content type" : "a content type that is not supported";
  return rejection("unsupported_type", {
    headers: { "Accept-Post": ACCEPTED_TYPES },
    body: `${reason}; fix: send one of ${ACCEPTED_TYPES}\n`,
    reason,
  });
}
