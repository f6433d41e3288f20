/** Routes for operators: the dashboard's stream, and lists and disconnects of clients. See guard.ts. */
import { documented } from "../../api-docs/operation.js";
import { M2pushError } from "../../errors.js";
import { type AdminResponse, type DocumentedAdminRoute, json, textResponse } from "./admin-response.js";
import type { ClientList, PageOptions } from "./client-list.js";
import type { DashboardStream } from "./dashboard-stream.js";
import {
  CLIENT_DOCS,
  CLIENTS_DOCS,
  DISCONNECT_CLIENT_DOCS,
  DISCONNECT_DOCS,
  EVENTS_DOCS,
  REVOKE_DOCS,
} from "./operation-docs.js";
import { type RevokeDeps, revoke } from "./revoke-route.js";

const DEFAULT_PAGE_CLIENTS = 100;
const MAX_PAGE_CLIENTS = 1000;

export function operatorRoutes(
  clients: ClientList,
  stream: DashboardStream,
  revoking: RevokeDeps,
): Map<string, DocumentedAdminRoute> {
  return new Map<string, DocumentedAdminRoute>([
    ["/events", { GET: documented(EVENTS_DOCS, ({ lastEventId }) => watch(stream, lastEventId)) }],
    // Newest first; ?server=, ?limit=, and ?after= with "next" of the page before.
    ["/clients", { GET: documented(CLIENTS_DOCS, ({ query }) => list(clients, query)) }],
    [
      "/clients/{server}/{id}",
      { GET: documented(CLIENT_DOCS, ({ params }) => orNotFound(clients.find(...idOf(params)))) },
    ],
    [
      "/clients/{server}/{id}/disconnect",
      {
        POST: documented(DISCONNECT_CLIENT_DOCS, ({ params }) =>
          orNotFound(disconnected(clients.disconnect(...idOf(params)))),
        ),
      },
    ],
    // All clients with ?topic= or ?subject=. Browsers reconnect, as long as their token is valid.
    ["/disconnect", { POST: documented(DISCONNECT_DOCS, ({ query }) => disconnect(clients, query)) }],
    // A token (?jti=), or every token of a holder so far (?sub=), before their exp.
    ["/revoke", { POST: documented(REVOKE_DOCS, ({ query }) => revoke(revoking, query)) }],
  ]);
}

function watch(stream: DashboardStream, lastEventId: string | undefined): AdminResponse {
  if (stream.isFull)
    return textResponse(503, `${stream.maxWatchers} clients read this stream already; fix: close one of them`);
  return { status: 200, type: "text/event-stream", body: (out) => stream.watch(out, lastEventId) };
}

/** NaN, which no client has, for what is not an id. */
const idOf = ({ server = "", id = "" }: Readonly<Record<string, string>>): [server: string, id: number] => [
  server,
  /^[0-9]{1,10}$/.test(id) ? Number(id) : Number.NaN,
];

const orNotFound = (value: object | undefined): AdminResponse =>
  value ? json(value) : textResponse(404, "no such client");
const disconnected = (isFound: boolean): object | undefined => (isFound ? { disconnected: 1 } : undefined);

async function list(clients: ClientList, query: URLSearchParams): Promise<AdminResponse> {
  const options = pageOptions(query);
  if (typeof options === "string") return textResponse(400, options);
  return orBusy(async () => {
    const page = await clients.page(options);
    return page ? json(page) : textResponse(404, "no such server");
  });
}

/** The options, or what is wrong with the query. */
function pageOptions(query: URLSearchParams): PageOptions | string {
  const server = query.get("server") ?? undefined;
  const limit = Number(query.get("limit") ?? DEFAULT_PAGE_CLIENTS);
  if (!Number.isInteger(limit) || limit < 1 || limit > MAX_PAGE_CLIENTS)
    return `limit is from 1 to ${MAX_PAGE_CLIENTS}`;
  const after = query.get("after");
  const [, name, id] = /^([^/]+)\/([0-9]{1,10})$/.exec(after ?? "") ?? [];
  if (after !== null && name === undefined) return 'after is what the page before had as "next"';
  return {
    limit,
    ...(server !== undefined && { server }),
    ...(name !== undefined && { after: { server: name, id: Number(id) } }),
  };
}

async function disconnect(clients: ClientList, query: URLSearchParams): Promise<AdminResponse> {
  const topic = query.get("topic") ?? "";
  const subject = query.get("subject") ?? "";
  if ((topic === "") === (subject === "")) return textResponse(400, "one of ?topic=... and ?subject=... is required");
  return orBusy(async () =>
    json({ disconnected: await (topic === "" ? clients.disconnectSubject(subject) : clients.disconnectTopic(topic)) }),
  );
}

/** Work that grows with the number of clients has a bounded queue: 503 where it is full. */
async function orBusy(respond: () => Promise<AdminResponse>): Promise<AdminResponse> {
  try {
    return await respond();
  } catch (error) {
    if (!(error instanceof M2pushError && error.code === "unavailable")) throw error;
    return { ...textResponse(503, error.message), headers: { "Retry-After": "1" } };
  }
}
