/** The documentation of the admin address's routes, and the schemas of their responses. */
import {
  count,
  type JsonSchema,
  list,
  nullable,
  number,
  object,
  type Schema,
  text,
  word,
} from "../../api-docs/json-schema.js";
import {
  type ContentDocs,
  type OperationDocs,
  type ParameterDocs,
  type ResponseDocs,
  TEXT_CONTENT,
} from "../../api-docs/operation.js";
import type { Selector } from "../../matching/selector.js";
import type { ClientPage, ClientView } from "./client-list.js";
import { STATUS_SCHEMA } from "./status-schema.js";

const json = ({ json: schema }: { readonly json: JsonSchema }): ContentDocs => ({ "application/json": schema });

const TEXTS: Readonly<Record<number, string>> = {
  400: "A parameter is missing or wrong.",
  404: "There is no such client, server or file.",
  421: "On a loopback address only its names are served as Host.",
  500: "A defect of the daemon. The log has it.",
  503: "Too much waits already, or the daemon is not ready; the text says which.",
};

/** The documentation of responses with these statuses, and those of every path. */
const errorDocs = (...statuses: readonly number[]): Record<number, ResponseDocs> =>
  Object.fromEntries([...statuses, 421, 500].map((it) => [it, { doc: TEXTS[it] ?? "", content: TEXT_CONTENT }]));

/** Of a route for operators, too. */
const operatorErrors = (...statuses: readonly number[]): Record<number, ResponseDocs> => ({
  ...errorDocs(...statuses),
  401: { doc: "A bearer token is required.", content: TEXT_CONTENT },
  403: {
    doc: "A page of another site asks, or the address is of the network and [admin] token is not set.",
    content: TEXT_CONTENT,
  },
});

const query = (name: string, doc: string): ParameterDocs => ({ name, in: "query", doc });
const CLIENT_PATH: readonly ParameterDocs[] = [
  { name: "server", in: "path", doc: "The [[mongrel2]] name." },
  { name: "id", in: "path", doc: "The connection id." },
];

export const METRICS_DOCS: OperationDocs = {
  id: "metrics",
  summary: "Metrics for Prometheus",
  responses: { 200: { doc: "Text format 0.0.4.", content: TEXT_CONTENT }, ...errorDocs() },
};

export const HEALTH_DOCS: OperationDocs = {
  id: "liveness",
  summary: "Liveness probe",
  responses: { 200: { doc: "The process runs.", content: TEXT_CONTENT }, ...errorDocs() },
};

export const READINESS_DOCS: OperationDocs = {
  id: "readiness",
  summary: "Readiness probe",
  responses: {
    200: { doc: "Clients and publications are served.", content: TEXT_CONTENT },
    ...errorDocs(503),
  },
};

export const STATUS_DOCS: OperationDocs = {
  id: "status",
  summary: "State of the daemon",
  description: "hotTopics and slowestClients are null for readers that are no operators.",
  responses: { 200: { doc: "The state.", content: json(STATUS_SCHEMA) }, ...errorDocs() },
};

export const EVENTS_DOCS: OperationDocs = {
  id: "watchStatus",
  summary: "Stream of the state, once a second",
  parameters: [{ name: "Last-Event-ID", in: "header", doc: "The last event that the reader has." }],
  responses: {
    200: {
      doc: "Events of the type m2push-status; see /asyncapi.json.",
      content: { "text/event-stream": { type: "string" } },
    },
    ...operatorErrors(503),
  },
};

const SELECTOR: Schema<Selector> = {
  json: {
    type: "object",
    description: "A topic or a pattern.",
    required: ["kind"],
    properties: { kind: { type: "string" } },
  },
};

const CLIENT: Schema<ClientView> = object("One client.", {
  server: text("The [[mongrel2]] name."),
  id: count("The connection id."),
  remote: text("The address of the visitor."),
  selectors: list("What it follows.", SELECTOR),
  grants: list("Topics whose private events it may receive.", SELECTOR),
  connectedAt: text("ISO 8601."),
  connectedSeconds: number("For how long it has been connected."),
  expiresAt: nullable(text("When its token expires, ISO 8601.")),
  state: word("Whether it reads from the history.", ["live", "catching up"]),
  cursor: text("Mongrel2 has taken all events up to this one."),
  credit: nullable(
    object("Flow control.", {
      limitBytes: number("Bytes that may be unacknowledged."),
      availableBytes: number("Bytes that may be sent now."),
    }),
  ),
  subscriber: nullable(text("Its id in the subscription API.")),
  subject: nullable(text("The sub of its token.")),
});

const PAGE: Schema<ClientPage> = object("Clients, newest first.", {
  total: count("Clients of all servers, or of the one that was asked for."),
  clients: list("Fewer than the limit where they have many topics.", CLIENT),
  next: nullable(text("after of the next page; null: this is the last one.")),
});

export const CLIENTS_DOCS: OperationDocs = {
  id: "listClients",
  summary: "List clients",
  parameters: [
    query("server", "Clients of this [[mongrel2]] only."),
    { ...query("limit", "Clients of a page, 1 to 1000."), schema: { type: "integer", minimum: 1, maximum: 1000 } },
    query("after", "The next of the page before."),
  ],
  responses: { 200: { doc: "One page.", content: json(PAGE) }, ...operatorErrors(400, 404, 503) },
};

export const CLIENT_DOCS: OperationDocs = {
  id: "getClient",
  summary: "One client",
  parameters: CLIENT_PATH,
  responses: { 200: { doc: "The client.", content: json(CLIENT) }, ...operatorErrors(404) },
};

const DISCONNECTED: Schema<{ readonly disconnected: number }> = object("Done.", {
  disconnected: count("Clients that were disconnected."),
});

export const DISCONNECT_CLIENT_DOCS: OperationDocs = {
  id: "disconnectClient",
  summary: "Disconnect one client",
  parameters: CLIENT_PATH,
  responses: { 200: { doc: "It was disconnected.", content: json(DISCONNECTED) }, ...operatorErrors(404) },
};

export const DISCONNECT_DOCS: OperationDocs = {
  id: "disconnectClients",
  summary: "Disconnect the clients of a topic or of a subject",
  parameters: [query("topic", "Clients that follow it."), query("subject", "Clients whose token has this sub.")],
  responses: { 200: { doc: "They were disconnected.", content: json(DISCONNECTED) }, ...operatorErrors(400, 503) },
};

export const REVOKE_DOCS: OperationDocs = {
  id: "revokeToken",
  summary: "Revoke a token",
  parameters: [
    query("jti", "The token. One of jti and sub is required."),
    query("sub", "Every token of this holder that was issued until now."),
    query("iss", "Of this issuer only."),
    query("exp", "The end of the last such token, seconds since 1970."),
  ],
  responses: {
    200: {
      doc: "It is revoked.",
      content: json(
        object<{ readonly revoked: number; readonly disconnected: number }>("Done.", {
          revoked: count("1."),
          disconnected: count("Streams that were ended."),
        }),
      ),
    },
    ...operatorErrors(400, 503),
  },
};

/** `type`: Content-Type of the file. */
export const pageDocs = (file: string, type: string): OperationDocs => ({
  id: `page${file.replace(/[^A-Za-z0-9]+/g, "_")}`,
  summary: `The dashboard: ${file}`,
  responses: {
    200: { doc: "The file.", content: { [type.replace(/;.*/, "")]: { type: "string" } } },
    ...errorDocs(404),
  },
});

export const documentDocs = (id: string, summary: string): OperationDocs => ({
  id,
  summary,
  responses: {
    200: { doc: "The document.", content: { "application/json": { type: "object" } } },
    ...errorDocs(503),
  },
});
