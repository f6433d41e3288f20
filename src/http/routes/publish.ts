/**
 * POST of the hub's address (Mercure, "Publishing"): authorize, parse, check, publish. The response is the event's id and is sent when the
 * event is as durable as configured. A rejected request publishes nothing.
 */
import { M2pushError, ProtocolError } from "../../errors.js";
import { coversAll } from "../../matching/selector.js";
import { LIMITS } from "../../protocol/limits.js";
import { checkDraft, type Draft } from "../../protocol/publication.js";
import type { HttpRequest } from "../../protocol/request.js";
import type { Publisher } from "../../publishing/publisher.js";
import { isResponse, type Principal } from "../access.js";
import { errorResponse, rejection } from "../error-response.js";
import { isForm, parseFormBody, rejectEncodedBody, valuesOf } from "../form.js";
import { idempotencyKey } from "../idempotency-key.js";
import type { MercureDialect } from "../mercure/dialect.js";
import type { Dialects } from "../mercure/dialects.js";
import type { Response } from "../response.js";
import type { RouteMethod } from "../route-table.js";
import type { LiveSettings } from "../settings.js";

export interface PublishDeps {
  readonly publisher: Pick<Publisher, "publishOne">;
  /** The hub's URL. */
  readonly base: string;
  readonly dialects: Dialects;
  readonly settings: LiveSettings;
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
    const unsupported = rejectEncodedBody(request) ?? rejectCondition(request);
    if (unsupported) return unsupported;
    const response = await this.#publish(request).catch(errorResponse);
    const { status, code, reason = `rejected with ${status}` } = response;
    if (code) this.#deps.rejected(new M2pushError(code, reason));
    return status < 500 ? { ...response, persists: true } : response;
  };

  async #publish(request: HttpRequest): Promise<Response> {
    const { publisher, dialects, settings } = this.#deps;
    const { access } = settings.current;
    const principal = await access.publisher(request);
    if (isResponse(principal)) return principal;
    const dialect = dialects.ofPrincipal(principal);
    const draft = parseDraft(request, dialect);
    if (draft.topics.some((topic) => dialect.isReserved(topic, this.#url))) {
      const body = "a topic is reserved for the hub\n";
      return rejection(dialect.reservedTopicCode, { body, reason: "a reserved topic" });
    }
    if (principal !== "anonymous" && !coversAll(principal.publish, draft.topics, this.#url.href)) {
      return access.insufficientScope("the token grants publishing, but not on every topic of this update");
    }
    checkDraft(draft, { joiners: dialect.allowsJoiners });
    const key = idempotencyKey(request);
    const origin = { publisher: scopeOf(principal), source: "http", ...(key !== undefined && { key }) } as const;
    const { id } = await publisher.publishOne(draft, origin);
    return { status: 200, body: id };
  }
}

/** Publishers without a token, or without a subject in it, share one scope. */
function scopeOf(principal: Principal): string {
  if (principal === "anonymous" || principal.subject === undefined) return "http";
  return `subject ${JSON.stringify([principal.issuer ?? null, principal.subject])}`;
}

/** Conditions are not supported; publishing regardless of a condition would be the one wrong result. */
function rejectCondition({ headers }: HttpRequest): Response | undefined {
  const name = ["if-match", "if-none-match"].find((it) => headers.has(it));
  return name === undefined
    ? undefined
    : rejection("unsupported", { body: `${name} is not supported\n`, persists: true });
}

/** Unknown fields are ignored (Mercure, "Publishing"). */
function parseDraft(request: HttpRequest, dialect: MercureDialect): Draft {
  if (!isForm(request)) throw new ProtocolError("invalid", "the body is not application/x-www-form-urlencoded");
  const form = parseFormBody(request.body);
  const [topic, ...alternates] = valuesOf(form, "topic");
  if (topic === undefined) throw new ProtocolError("invalid", 'missing "topic" parameter');
  if (alternates.length >= LIMITS.topics) {
    throw new ProtocolError(dialect.tooManyTopicsCode, `more than ${LIMITS.topics} topics`);
  }
  const [id, type, retry] = ["id", "type", "retry"].map((name) => valuesOf(form, name)[0] || undefined);
  return {
    topics: [topic, ...alternates],
    data: valuesOf(form, "data")[0] ?? "",
    private: form.some(([name]) => name === "private"),
    ...(id !== undefined && { id }),
    ...(type !== undefined && { type }),
    ...(retry !== undefined && { retry: parseMilliseconds(retry) }),
  };
}

function parseMilliseconds(digits: string): number {
  if (!/^[0-9]+$/.test(digits)) throw new ProtocolError("invalid", "retry is not a whole number of milliseconds");
  return Number(digits);
}
