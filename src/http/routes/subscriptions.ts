/** The list of active subscriptions, all of them, those of one topic, and one (Mercure, "Subscription API"). */
import { hasTokenInQuery } from "../../auth/carrier.js";
import { covers } from "../../hub/selector.js";
import type { HttpRequest } from "../../protocol/request.js";
import { header } from "../../protocol/request.js";
import { type Access, isAnswer } from "../access.js";
import { preflightHeaders } from "../cors.js";
import type { Dialect, Sought } from "../mercure/dialect.js";
import type { Dialects } from "../mercure/dialects.js";
import type { Presence } from "../mercure/presence.js";
import type { Answer } from "../response.js";
import type { Route } from "../router.js";

export interface SubscriptionsParts {
  /** The hub's path, and its URL. */
  readonly path: string;
  readonly base: string;
  readonly dialects: Dialects;
  readonly presence: Presence;
  /** The id of the last event, or "earliest". */
  readonly lastEventId: () => string;
  readonly settings: () => { readonly access: Access; readonly corsOrigins: readonly string[] };
}

export function subscriptionsRoute(parts: SubscriptionsParts): Route {
  const get = async (_: unknown, request: HttpRequest): Promise<Answer> => {
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
async function list(request: HttpRequest, parts: SubscriptionsParts, access: Access): Promise<Answer> {
  const reader = await access.reader(request);
  if (isAnswer(reader)) return reader;
  if (!covers(reader.subscribe, [request.path], parts.base)) {
    return access.insufficient(`the token does not grant ${request.path}`);
  }
  const dialect = parts.dialects.ofAsker(reader);
  const segments = decodedSegments(request.path.slice(`${parts.path}/subscriptions`.length));
  const sought = segments && dialect.sought(segments);
  if (sought === "unknown") return { status: 400, body: "a type of matcher that is not known\n" };
  if (sought === undefined) return { status: 404 };
  parts.presence.watch();
  return describe(request, dialect, sought, parts);
}

function describe(request: HttpRequest, dialect: Dialect, sought: Sought, parts: SubscriptionsParts): Answer {
  const { presence, lastEventId, path } = parts;
  const last = lastEventId();
  const found = presence.find(dialect, sought);
  const documents = found.map((it) => dialect.document(presence.topicOf(dialect, it), it, true));
  const [only] = documents;
  if (sought.subscriber !== undefined && !only) return { status: 404 };
  const isSingle = sought.subscriber !== undefined && only;
  const body = isSingle ? dialect.single(only, last) : dialect.collection(request.path, documents, last);
  const link = `<${path}>; rel="mercure"; last-event-id="${last}"`;
  const hints =
    dialect.eventType === undefined ? "" : `; type="${dialect.eventType}"; content-type="${dialect.contentType}"`;
  const caching = hasTokenInQuery(request.query) ? "private, must-revalidate" : "must-revalidate";
  const headers = { "Cache-Control": caching, ETag: `"${last}.${presence.version}"`, Link: link + hints };
  if (isKnown(request, headers.ETag)) return { status: 304, headers };
  return {
    status: 200,
    headers: { "Content-Type": dialect.contentType, ...headers },
    body: `${JSON.stringify(body)}\n`,
  };
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
