/**
 * The last event id in an address. A client library that cannot set a header adds a parameter with a name of its own: lastEventId
 * (event-source-polyfill, reconnecting-eventsource), lastEventID (Mercure 0.x), last_event_id (draft-08), evs_last_event_id.
 */
import type { Form } from "./form.js";

const NAME = /^(?:evs[-_])?last[-_]?event[-_]?id$/i;

/**
 * `preferred`: names that have priority over all others, in this order. Of several values of one name the last counts, since libraries
 * append theirs. "" = there is such a parameter and it is empty; undefined = there is none.
 */
export function lastEventIdIn(form: Form, preferred: readonly string[]): string | undefined {
  const named = form.filter(([name]) => NAME.test(name));
  if (named.length === 0) return undefined;
  const filled = named.filter(([, value]) => value !== "");
  for (const wanted of preferred) {
    const own = filled.findLast(([name]) => name === wanted);
    if (own) return own[1];
  }
  return filled.at(-1)?.[1] ?? "";
}

/** An id that the hub generated: `#<epoch>.<offset>`, with or without a position in the presence log (protocol/position.ts). */
const GENERATED_ID = /^#([^.,\s]+)\.([0-9]{1,16})(?:\.[^.,\s]+\.[0-9]+)?$/;

/**
 * The id of a Last-Event-ID header. A client that appends to its header instead of replacing it, or a proxy that joins header lines
 * (RFC 9110 section 5.3), makes a list of it: the last id counts if the hub generated all of them, in one epoch, in the order of their
 * offsets. Any other value is one id, since an id of a publisher may contain commas: a part of it could skip events without a
 * gap. An id of a publisher never begins with "#".
 */
export function lastEventIdOfHeader(value: string): string {
  if (!value.startsWith("#") || !value.includes(",")) return value;
  const ids = value.split(/[ \t]*,[ \t]*/);
  let [epoch, offset]: [string | undefined, number] = [undefined, 0];
  for (const id of ids) {
    const [, itsEpoch, itsOffset] = GENERATED_ID.exec(id) ?? [];
    if (itsEpoch === undefined || itsEpoch !== (epoch ?? itsEpoch) || Number(itsOffset) < offset) return value;
    [epoch, offset] = [itsEpoch, Number(itsOffset)];
  }
  return ids.at(-1) ?? value;
}
