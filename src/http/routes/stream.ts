/**
 * The plain EventSource address: GET opens a stream of every public event, or of the topics that `topic` parameters name, as
 * Mercure 0.x does. Tokens count here as well; others are not told who is here. Of equal ids of publishers the newest counts: one
 * that counts from 1 after each of its starts would have browsers get everything since its first again (Mercure: the oldest).
 */
import type { HttpRequest } from "../../protocol/request.js";
import { preflightHeaders } from "../cors.js";
import { cursorIn } from "../cursor.js";
import { type Form, parseForm, valuesOf } from "../form.js";
import { v0 } from "../mercure/v0.js";
import type { Route } from "../router.js";
import type { Subscribe } from "../subscribe.js";
import type { SubscribeRequest } from "../subscribe-request.js";

const EVERYTHING: Form = [["topic", "*"]];

/** fetch() clients of other origins ask first whether they may send Last-Event-ID: without an answer they never come back. */
export function streamRoute(path: string, subscribe: Subscribe, corsOrigins: () => readonly string[]): Route {
  const get = subscribe.method(wishOf);
  return {
    name: path,
    methods: { GET: get, HEAD: get },
    options: (request) => preflightHeaders(request, corsOrigins(), "GET, HEAD, OPTIONS"),
  };
}

/** The names that win where an address has the last event id under several. */
const CURSORS = ["last_event_id", "lastEventID", "Last-Event-ID"];

function wishOf({ query }: HttpRequest): SubscribeRequest {
  const form = parseForm(query);
  const asked = v0.asked(valuesOf(form, "topic").length > 0 ? form : EVERYTHING);
  return { asked, cursor: cursorIn(form, CURSORS), equalIds: "newest", isPublic: false };
}
