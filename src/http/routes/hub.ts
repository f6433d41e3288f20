/** The hub's address: GET, HEAD and QUERY subscribe, POST publishes (Mercure). */
import { ProtocolError } from "../../errors.js";
import type { HttpRequest } from "../../protocol/request.js";
import { preflightHeaders } from "../cors.js";
import { type Form, isForm, parseForm, parseFormBody } from "../form.js";
import type { Dialects } from "../mercure/dialects.js";
import type { Publish } from "../publish.js";
import type { Route } from "../router.js";
import type { Subscribe } from "../subscribe.js";
import type { Wish } from "../wish.js";

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
    methods: { GET: get, HEAD: get, QUERY: get, POST: (_, request) => publish.handle(request) },
    options: (request) => preflightHeaders(request, corsOrigins(), METHODS),
    optionsPersist: true,
  };
}

/** Address and body together; where both have a last event id, the address wins. */
function wishOf(request: HttpRequest, dialects: Dialects): Wish {
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
  throw new ProtocolError("protocol.request", "the body is not application/x-www-form-urlencoded");
}
