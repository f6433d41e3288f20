/** What only operators may ask for: what moves the dashboard, who is connected, and an end to that. See guard.ts. */
import { M2pushError } from "../../errors.js";
import { type AdminResponse, type AdminRoute, json, text } from "./admin-response.js";
import type { ClientList, PageOptions } from "./client-list.js";
import type { DashboardStream } from "./dashboard-stream.js";

const LIMIT = { usual: 100, most: 1000 };

export function operatorRoutes(clients: ClientList, feed: DashboardStream): Map<string, AdminRoute> {
  return new Map<string, AdminRoute>([
    ["/events", { GET: ({ lastEventId }) => stream(feed, lastEventId) }],
    // Newest first; ?server=, ?limit=, and ?after= with what the page before had as "next".
    ["/clients", { GET: ({ query }) => list(clients, query) }],
    ["/clients/{server}/{id}", { GET: ({ params }) => orNot(clients.one(...named(params))) }],
    ["/clients/{server}/{id}/disconnect", { POST: ({ params }) => orNot(ended(clients.end(...named(params)))) }],
    // ?topic= or ?subject=: all of them. Browsers come back by themselves, as long as they may.
    ["/disconnect", { POST: ({ query }) => disconnect(clients, query) }],
  ]);
}

function stream(feed: DashboardStream, lastEventId: string | undefined): AdminResponse {
  if (feed.isFull) return text(503, `${feed.most} are watching already`);
  return { status: 200, type: "text/event-stream", body: (out) => feed.watch(out, lastEventId) };
}

/** An id that is none names nobody. */
const named = ({ server = "", id = "" }: Readonly<Record<string, string>>): [server: string, id: number] => [
  server,
  /^[0-9]{1,10}$/.test(id) ? Number(id) : Number.NaN,
];

const orNot = (value: object | undefined): AdminResponse => (value ? json(value) : text(404, "no such client"));
const ended = (isEnded: boolean): object | undefined => (isEnded ? { disconnected: 1 } : undefined);

async function list(clients: ClientList, query: URLSearchParams): Promise<AdminResponse> {
  const options = pageOptions(query);
  if (typeof options === "string") return text(400, options);
  return orBusy(async () => {
    const page = await clients.page(options);
    return page ? json(page) : text(404, "no such server");
  });
}

/** Or what is wrong with it. */
function pageOptions(query: URLSearchParams): PageOptions | string {
  const server = query.get("server") ?? undefined;
  const limit = Number(query.get("limit") ?? LIMIT.usual);
  if (!Number.isInteger(limit) || limit < 1 || limit > LIMIT.most) return `limit is from 1 to ${LIMIT.most}`;
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
  if ((topic === "") === (subject === "")) return text(400, "say whom to disconnect: ?topic=... or ?subject=...");
  return orBusy(async () =>
    json({ disconnected: await (topic === "" ? clients.endSubject(subject) : clients.endTopic(topic)) }),
  );
}

/** What takes as long as there are clients is done for few at a time. */
async function orBusy(answer: () => Promise<AdminResponse>): Promise<AdminResponse> {
  try {
    return await answer();
  } catch (error) {
    if (!(error instanceof M2pushError && error.code === "unavailable")) throw error;
    return { ...text(503, error.message), headers: { "Retry-After": "1" } };
  }
}
