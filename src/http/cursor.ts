/**
 * The last event id in an address. Where a library cannot set a header it adds a parameter, under a name of its own: lastEventId
 * (event-source-polyfill, reconnecting-eventsource), lastEventID (Mercure 0.x), last_event_id (draft-08), evs_last_event_id.
 */
import type { Form } from "./form.js";

const NAME = /^(?:evs[-_])?last[-_]?event[-_]?id$/i;

/**
 * `preferred`: the dialect's own names, which win over all others, the first over the next. Where a name comes several times the
 * last value counts: libraries add theirs at the end. "" = there is such a parameter, and it is empty; undefined = there is none.
 */
export function cursorIn(form: Form, preferred: readonly string[]): string | undefined {
  const named = form.filter(([name]) => NAME.test(name));
  if (named.length === 0) return undefined;
  const filled = named.filter(([, value]) => value !== "");
  for (const wanted of preferred) {
    const own = filled.findLast(([name]) => name === wanted);
    if (own) return own[1];
  }
  return filled.at(-1)?.[1] ?? "";
}
