/** Errors as application/problem+json (RFC 9457), for clients that accept it. Other clients get text. */
import type { HttpRequest } from "../protocol/request.js";
import { REASON_PHRASES, type Response } from "./response.js";

/** A media range that includes problem details; clients that want JSON expect errors as JSON. */
const PROBLEM_RANGE = /^[ \t]*application\/(?:problem\+json|json|\*)[ \t]*(?:;|$)/i;
const REFUSED_RANGE = /;[ \t]*q=0(?:\.0*)?[ \t]*(?:;|$)/i;

/** The response to send: the same, or the error as problem details. */
export function problemResponse(request: HttpRequest, response: Response): Response {
  const { status, code, headers, body, faults } = response;
  if (code === undefined || headers?.["Content-Type"] !== undefined || !acceptsProblem(request)) return response;
  const title = REASON_PHRASES[status] ?? `${status}`;
  const detail = typeof body === "string" ? body.trimEnd() : undefined;
  const problem = { type: "about:blank", title, status, detail, code, faults };
  return {
    ...response,
    headers: { ...headers, "Content-Type": "application/problem+json" },
    body: `${JSON.stringify(problem)}\n`,
  };
}

function acceptsProblem({ headers }: HttpRequest): boolean {
  const ranges = (headers.get("accept") ?? []).join(",").split(",");
  return ranges.some((range) => PROBLEM_RANGE.test(range) && !REFUSED_RANGE.test(range));
}
