/** The plain EventSource address: GET opens a stream of every public event (WHATWG HTML 9.2, server-sent events). */
import type { Hub } from "../../hub/hub.js";
import { EVERYTHING_PUBLIC } from "../../hub/interest.js";
import type { Server } from "../../hub/server.js";
import { type HttpRequest, header } from "../../protocol/request.js";
import { encodeComment, encodeEvent } from "../../protocol/sse.js";
import { type Answer, head } from "../response.js";
import type { Outcome, Route } from "../router.js";

export interface StreamOptions {
  /** What browsers are told to wait before they reconnect, milliseconds. */
  readonly retry: number;
  /** The most clients of all servers together; 0 = no limit. */
  readonly maxClients: number;
}

/** Nothing may keep a copy, nothing may hold it back: X-Accel-Buffering is nginx's word for the latter. */
const HEADERS = {
  "Content-Type": "text/event-stream",
  "Cache-Control": "no-cache, no-store, max-age=0, must-revalidate",
  Expires: "Thu, 01 Jan 1970 00:00:00 GMT",
  Pragma: "no-cache",
  "X-Accel-Buffering": "no",
};

/** `options` is asked anew for each request: a reload may change it. */
export function streamRoute(hub: Hub, path: string, options: () => StreamOptions): Route {
  const start = Buffer.concat([Buffer.from(head(200, HEADERS)), encodeComment(" time stream")]);
  const opening = () => Buffer.concat([start, encodeEvent({ retry: options().retry })]);
  const full = (): Answer | undefined => {
    const { maxClients, retry } = options();
    if (maxClients === 0 || hub.clients < maxClients) return undefined;
    return { status: 503, headers: { "Retry-After": `${Math.ceil(retry / 1000)}` }, body: "too many clients\n" };
  };
  const get = (server: Server, request: HttpRequest): Outcome | Promise<Outcome> => {
    const refusal = full();
    if (refusal) return refusal;
    const { id, remote, credits: allowance } = request;
    const interest = EVERYTHING_PUBLIC;
    const subscription = { id, remote, interest, lastEventId: lastEventId(request), allowance, opening };
    const opened = hub.subscribe(server, subscription);
    return opened instanceof Promise ? opened.then((client) => client && "streaming") : "streaming";
  };
  return { name: path, methods: { GET: get, HEAD: () => full() ?? { status: 200, headers: HEADERS } } };
}

/** The last event the client has seen: the header that browsers send when they reconnect, or the query of a first connect. */
function lastEventId(request: HttpRequest): string | undefined {
  const given = header(request, "last-event-id");
  if (given !== undefined) return given || undefined;
  const query = new URLSearchParams(request.query);
  return query.get("last_event_id") || query.get("lastEventID") || undefined;
}
