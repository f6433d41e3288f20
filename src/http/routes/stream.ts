/**
 * The plain EventSource address: GET opens a stream of every public event, or of the topics that `topic` parameters name, as
 * Mercure 0.x does. Tokens count here as well; others are not told who is here.
 */
import type { HttpRequest } from "../../protocol/request.js";
import { type Form, parseForm, valuesOf } from "../form.js";
import { v0 } from "../mercure/v0.js";
import type { Route } from "../router.js";
import type { Subscribe } from "../subscribe.js";
import type { Wish } from "../wish.js";

const EVERYTHING: Form = [["topic", "*"]];

export function streamRoute(path: string, subscribe: Subscribe): Route {
  const get = subscribe.method(wishOf);
  return { name: path, methods: { GET: get, HEAD: get } };
}

/** The last event id may be given for a first connect, by the name of either dialect. */
function wishOf({ query }: HttpRequest): Wish {
  const form = parseForm(query);
  const asked = v0.asked(valuesOf(form, "topic").length > 0 ? form : EVERYTHING);
  return { asked, cursor: valuesOf(form, "last_event_id")[0] ?? v0.cursor(form), isPublic: false };
}
