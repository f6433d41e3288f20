/**
 * GET of the active subscriptions: all of them, those of one topic, or one (Mercure, "Subscription API"). Authorize, parse the path, render.
 * A grant for this address is a grant for the path, taken as a topic.
 */

import { covers } from "../../matching/selector.js";
import { type HttpRequest, header } from "../../protocol/request.js";
import type { SlicedWork, Steps } from "../../util/sliced-work.js";
import { isResponse } from "../access.js";
import { hasTokenInQuery } from "../auth/find-token.js";
import { rejection } from "../error-response.js";
import type { MercureDialect, SubscriptionQuery, SubscriptionView } from "../mercure/dialect.js";
import type { Dialects } from "../mercure/dialects.js";
import type { Presence } from "../mercure/presence.js";
import type { Response } from "../response.js";
import type { RouteMethod } from "../route-table.js";
import type { LiveSettings } from "../settings.js";

export interface SubscriptionsDeps {
  /** The hub's path. */
  readonly path: string;
  /** The hub's URL. */
  readonly base: string;
  readonly dialects: Dialects;
  readonly presence: Presence;
  /** Renders lists, a few at a time. */
  readonly work: SlicedWork;
  /** The id of the last event, or "earliest". */
  readonly lastEventId: () => string;
  readonly settings: LiveSettings;
}

export class SubscriptionsRoute {
  readonly #deps: SubscriptionsDeps;

  constructor(deps: SubscriptionsDeps) {
    this.#deps = deps;
  }

  readonly handle: RouteMethod = async (_, request) => ({ ...(await this.#list(request)), persists: true });

  async #list(request: HttpRequest): Promise<Response> {
    const { base, dialects, path, settings } = this.#deps;
    const { access } = settings.current;
    const reader = await access.reader(request);
    if (isResponse(reader)) return reader;
    if (!covers(reader.subscribe, [request.path], base)) {
      return access.insufficientScope(`the token does not grant ${request.path}`);
    }
    const dialect = dialects.ofPrincipal(reader);
    const segments = decodeSegments(request.path.slice(`${path}/subscriptions`.length));
    const query = segments && dialect.parsePath(segments);
    if (query === "unknown") return rejection("invalid", { body: "an unknown type of matcher\n" });
    if (query === undefined) return rejection("not_found");
    return query.subscriber === undefined
      ? this.#renderList(request, dialect, query)
      : this.#renderOne(request, dialect, query);
  }

  async #renderOne(request: HttpRequest, dialect: MercureDialect, query: SubscriptionQuery): Promise<Response> {
    const { presence, work, lastEventId } = this.#deps;
    const [last, headers] = [lastEventId(), this.#headers(request, dialect)];
    const view = await work.run(findFirst(dialect, query, presence));
    if (!view) return rejection("not_found");
    if (isCached(request, headers.ETag)) return { status: 304, headers };
    const document = dialect.document(presence.topicOf(dialect, view), view, true);
    return found(dialect, headers, `${JSON.stringify(dialect.singleDocument(document, last))}\n`);
  }

  async #renderList(request: HttpRequest, dialect: MercureDialect, query: SubscriptionQuery): Promise<Response> {
    const { presence, work, lastEventId } = this.#deps;
    const [last, headers] = [lastEventId(), this.#headers(request, dialect)];
    if (isCached(request, headers.ETag)) return { status: 304, headers };
    const body = await work.run(renderCollection(dialect, query, { presence, id: request.path, lastEventId: last }));
    return found(dialect, headers, body);
  }

  #headers({ query }: HttpRequest, { eventType, contentType }: MercureDialect) {
    const { path, presence, lastEventId } = this.#deps;
    const last = lastEventId();
    const link = `<${path}>; rel="mercure"; last-event-id="${last}"`;
    const hints = eventType === undefined ? "" : `; type="${eventType}"; content-type="${contentType}"`;
    const caching = hasTokenInQuery(query) ? "private, must-revalidate" : "must-revalidate";
    return { "Cache-Control": caching, ETag: `"${last}.${presence.version}"`, Link: link + hints };
  }
}

function found(
  { contentType }: MercureDialect,
  headers: Readonly<Record<string, string>>,
  body: string | Buffer,
): Response {
  return { status: 200, headers: { "Content-Type": contentType, ...headers }, body };
}

function* findFirst(
  dialect: MercureDialect,
  query: SubscriptionQuery,
  presence: Presence,
): Steps<SubscriptionView | undefined> {
  for (const [first] of presence.find(dialect, query)) {
    if (first) return first;
    yield;
  }
  return undefined;
}

interface CollectionOptions {
  readonly presence: Presence;
  /** The path of the request. */
  readonly id: string;
  readonly lastEventId: string;
}

/** The collection as JSON, rendered in steps: it may have a hundred documents for each client. The list is its last member. */
function* renderCollection(
  dialect: MercureDialect,
  query: SubscriptionQuery,
  { presence, id, lastEventId }: CollectionOptions,
): Steps<Buffer> {
  const shell = JSON.stringify(dialect.collection(id, [], lastEventId));
  const at = shell.lastIndexOf("[]") + 1;
  const chunks = [Buffer.from(shell.slice(0, at))];
  for (const views of presence.find(dialect, query)) {
    const documents = views.map((it) => JSON.stringify(dialect.document(presence.topicOf(dialect, it), it, true)));
    const isFirst = chunks.length === 1;
    if (documents.length > 0) chunks.push(Buffer.from((isFirst ? "" : ",") + documents.join(",")));
    yield;
  }
  chunks.push(Buffer.from(`${shell.slice(at)}\n`));
  return Buffer.concat(chunks);
}

/** RFC 9110 section 13.1.2: a list of tags, also weak ones, or "*". */
function isCached(request: HttpRequest, tag: string): boolean {
  const tags = (header(request, "if-none-match") ?? "").split(",").map((it) => it.trim().replace(/^W\//, ""));
  return tags.includes(tag) || tags.includes("*");
}

/** Undefined if the path is not percent-encoded UTF-8, or does not start with a slash. */
function decodeSegments(path: string): string[] | undefined {
  if (path === "" || path === "/") return [];
  if (!path.startsWith("/")) return undefined;
  try {
    return path.slice(1).split("/").map(decodeURIComponent);
  } catch {
    return undefined;
  }
}
