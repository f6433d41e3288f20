/** Responses to requests that publish, in the form of the request: the id as text to a form, JSON to everything else. */
import type { M2pushError } from "../errors.js";
import type { PublishedEvent } from "../hub/bus.js";
import { publishError } from "../protocol/publish-error.js";
import { errorResponse } from "./error-response.js";
import type { Response } from "./response.js";

/** The form of the response. "events": one entry for each event of a batch. */
export type PublishedForm = "text" | "object" | "events";

/** 200 if every event was published. Otherwise a batch has the status of its first error, and the results of all its events. */
export function publishedResponse(form: PublishedForm, published: readonly PublishedEvent[]): Response {
  const [error] = published.flatMap((it) => ("error" in it ? [it.error] : []));
  if (form === "events") return eventsResponse(published, error);
  if (error) throw error;
  const [id] = published.flatMap((it) => ("id" in it ? [it.id] : []));
  return form === "text" ? { status: 200, body: `${id}` } : { status: 200, ...jsonBody({ id }) };
}

function eventsResponse(published: readonly PublishedEvent[], error: M2pushError | undefined): Response {
  const events = published.map((it) => ("error" in it ? { error: publishError(it.error) } : { id: it.id }));
  const { body, headers } = jsonBody({ events });
  if (!error) return { status: 200, body, headers };
  const response = errorResponse(error);
  return { ...response, body, headers: { ...response.headers, ...headers } };
}

function jsonBody(value: unknown): { readonly body: string; readonly headers: Readonly<Record<string, string>> } {
  return { body: `${JSON.stringify(value)}\n`, headers: { "Content-Type": "application/json" } };
}
