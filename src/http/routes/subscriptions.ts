/** The list of active subscriptions, all of them, those of one topic, and one (Mercure, "Subscription API"). */

import { covers } from "../../matching/selector.js";
import type { HttpRequest } from "../../protocol/request.js";
import { header } from "../../protocol/request.js";
import type { SlicedWork, Steps } from "../../util/sliced-work.js";
import { type Access, isResponse } from "../access.js";
import { hasTokenInQuery } from "../auth/carrier.js";
import { preflightHeaders } from "../cors.js";
import type { MercureDialect, SubscriptionQuery, SubscriptionView } from "../mercure/dialect.js";
import type { Dialects } from "../mercure/dialects.js";
import type { Presence } from "../mercure/presence.js";
import type { Response } from "../response.js";
import type { Route } from "../router.js";

export interface SubscriptionsParts {
  /** The hub's path, and its URL. */
  readonly path: string;
  readonly base: string;
  readonly dialects: Dialects;
  readonly presence: Presence;
  /** Makes lists, a few at a time. */
  readonly work: SlicedWork;
  /** The id of the last event, or "earliest". */
  readonly lastEventId: () => string;
  readonly settings: () => { readonly access: Access; readonly corsOrigins: readonly string[] };
}

export function subscriptionsRoute(parts: SubscriptionsParts): Route {
  const get = async (_: unknown, request: HttpRequest): Promise<Response> => {
    const { access } = parts.settings();
    return { ...(await list(request, parts, access)), persists: true };
  };
  return {
    name: `${parts.path}/subscriptions`,
    methods: { GET: get, HEAD: get },
    options: (request) => preflightHeaders(request, parts.settings().corsOrigins, "GET, HEAD, OPTIONS"),
    optionsPersist: true,
  };
}

/** The grant is for the address, as if it were a topic. */
async function list(request: HttpRequest, parts: SubscriptionsParts, access: Access): Promise<Response> {
  const reader = await access.reader(request);
  if (isResponse(reader)) return reader;
  if (!covers(reader.subscribe, [request.path], parts.base)) {
    return access.insufficient(`the token does not grant ${request.path}`);
  }
  const dialect = parts.dialects.ofAsker(reader);
  const segments = decodedSegments(request.path.slice(`${parts.path}/subscriptions`.length));
  const sought = segments && dialect.sought(segments);
  if (sought === "unknown") return { status: 400, body: "a type of matcher that is not known\n" };
  if (sought === undefined) return { status: 404 };
  return describe(request, dialect, sought, parts);
}

async function describe(
  request: HttpRequest,
  dialect: MercureDialect,
  sought: SubscriptionQuery,
  parts: SubscriptionsParts,
): Promise<Response> {
  const { presence, lastEventId, path, work } = parts;
  const last = lastEventId();
  const link = `<${path}>; rel="mercure"; last-event-id="${last}"`;
  const hints =
    dialect.eventType === undefined ? "" : `; type="${dialect.eventType}"; content-type="${dialect.contentType}"`;
  const caching = hasTokenInQuery(request.query) ? "private, must-revalidate" : "must-revalidate";
  const headers = { "Cache-Control": caching, ETag: `"${last}.${presence.version}"`, Link: link + hints };
  const ok = (body: string | Buffer): Response => {
    return { status: 200, headers: { "Content-Type": dialect.contentType, ...headers }, body };
  };
  if (sought.subscriber !== undefined) {
    const only = await work.run(firstOf(dialect, sought, presence));
    if (!only) return { status: 404 };
    const document = dialect.document(presence.topicOf(dialect, only), only, true);
    return isKnown(request, headers.ETag)
      ? { status: 304, headers }
      : ok(`${JSON.stringify(dialect.single(document, last))}\n`);
  }
  if (isKnown(request, headers.ETag)) return { status: 304, headers };
  return ok(await work.run(listOf(dialect, sought, { presence, id: request.path, last })));
}

function* firstOf(
  dialect: MercureDialect,
  sought: SubscriptionQuery,
  presence: Presence,
): Steps<SubscriptionView | undefined> {
  for (const [first] of presence.find(dialect, sought)) {
    if (first) return first;
    yield;
  }
  return undefined;
}

interface ListParts {
  readonly presence: Presence;
  readonly id: string;
  readonly last: string;
}

/** The collection as JSON, made in steps: it may have a hundred documents for each client. Its list is its last member. */
function* listOf(dialect: MercureDialect, sought: SubscriptionQuery, { presence, id, last }: ListParts): Steps<Buffer> {
  const shell = JSON.stringify(dialect.collection(id, [], last));
  const at = shell.lastIndexOf("[]") + 1;
  const chunks = [Buffer.from(shell.slice(0, at))];
  for (const some of presence.find(dialect, sought)) {
    const documents = some.map((it) => JSON.stringify(dialect.document(presence.topicOf(dialect, it), it, true)));
    const isFirst = chunks.length === 1;
    if (documents.length > 0) chunks.push(Buffer.from((isFirst ? "" : ",") + documents.join(",")));
    yield;
  }
  chunks.push(Buffer.from(`${shell.slice(at)}\n`));
  return Buffer.concat(chunks);
}

/** RFC 9110 section 13.1.2: a list of tags, weak ones too, or any. */
function isKnown(request: HttpRequest, tag: string): boolean {
  const known = (header(request, "if-none-match") ?? "").split(",").map((it) => it.trim().replace(/^W\//, ""));
  return known.includes(tag) || known.includes("*");
}

/** Undefined when the path is not percent-encoded UTF-8, or goes on without a slash. */
function decodedSegments(path: string): string[] | undefined {
  if (path === "" || path === "/") return [];
  if (!path.startsWith("/")) return undefined;
  try {
    return path.slice(1).split("/").map(decodeURIComponent);
  } catch {
    return undefined;
  }
}
