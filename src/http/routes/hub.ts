/** The hub's address: GET, HEAD and QUERY subscribe, POST publishes (Mercure). */
import { ProtocolError } from "../../errors.js";
import { type HttpRequest, header } from "../../protocol/request.js";
import { preflightHeaders } from "../cors.js";
import { type Form, isForm, parseForm, parseFormBody } from "../form.js";
import type { Dialects } from "../mercure/dialects.js";
import type { Publish } from "../publish.js";
import type { Response } from "../response.js";
import type { Route } from "../router.js";
import type { Subscribe } from "../subscribe.js";
import type { SubscribeRequest } from "../subscribe-request.js";

export const METHODS = "GET, HEAD, QUERY, POST, OPTIONS";

export interface HubParts {
  readonly path: string;
  readonly dialects: Dialects;
  readonly subscribe: Subscribe;
  readonly publish: Publish;
  readonly corsOrigins: () => readonly string[];
}

export function hubRoute({ path, dialects, subscribe, publish, corsOrigins }: HubParts): Route {
  const get = subscribe.method((request) => wishOf(request, dialects));
  return {
    name: path,
    methods: {
      GET: get,
      HEAD: get,
      QUERY: (server, request) => encoded(request) ?? get(server, request),
      POST: (_, request) => encoded(request) ?? conditional(request) ?? publish.handle(request),
    },
    options: (request) => preflightHeaders(request, corsOrigins(), METHODS),
    optionsPersist: true,
  };
}

/** A body is read as it stands (RFC 9110 section 15.5.16). */
function encoded(request: HttpRequest): Response | undefined {
  const coding = header(request, "content-encoding") ?? "";
  if (/^(identity)?$/i.test(coding)) return undefined;
  return {
    status: 415,
    headers: { "Accept-Encoding": "identity" },
    body: "a body is taken unencoded only\n",
    persists: true,
  };
}

/** Publishing under a condition is not built: to publish all the same would be the one thing that was not asked for. */
function conditional({ headers }: HttpRequest): Response | undefined {
  const name = ["if-match", "if-none-match"].find((it) => headers.has(it));
  return name === undefined ? undefined : { status: 501, body: `${name} is not served\n`, persists: true };
}

/** Address and body together; where both have a last event id, the address wins. */
function wishOf(request: HttpRequest, dialects: Dialects): SubscribeRequest {
  const [address, body] = [parseForm(request.query), bodyOf(request)];
  const form: Form = [...address, ...body];
  const dialect = dialects.ofQuery(form);
  const { cursorHeader } = dialect;
  const named = dialect.cursor(address);
  const cursor = named || (dialect.cursor(body) ?? named);
  return { asked: dialect.asked(form), cursor, cursorHeader, isPublic: true };
}

/** Only QUERY (RFC 10008) has a body that means something, and must say what it is. */
function bodyOf(request: HttpRequest): Form {
  if (request.method !== "QUERY" || request.body.length === 0) return [];
  if (isForm(request)) return parseFormBody(request.body);
  throw new ProtocolError("invalid", "the body is not application/x-www-form-urlencoded");
}
