/** Requests of the commands to a hub. */
import { M2pushError } from "../errors.js";

export interface HubResponse {
  /** Code and reason phrase. */
  readonly status: string;
  readonly ok: boolean;
  readonly text: string;
}

/** The header that carries a token; none without one. */
export function authorization(token: string | undefined): Record<string, string> {
  return token === undefined ? {} : { authorization: `Bearer ${token}` };
}

/**
 * Redirects are not followed: they would turn a POST into a GET, and send the token to another address. Rejects with "link_failed" when the
 * hub is unreachable.
 */
export async function send(url: URL, request: RequestInit, timeoutMs: number): Promise<HubResponse> {
  try {
    const response = await fetch(url, { ...request, redirect: "manual", signal: AbortSignal.timeout(timeoutMs) });
    return { status: `${response.status} ${response.statusText}`, ok: response.ok, text: await response.text() };
  } catch (cause) {
    throw new M2pushError("link_failed", `cannot reach ${url.href}: ${causes(cause)}`, { cause });
  }
}

/** fetch reports only "fetch failed"; its cause has the reason, and is a list without a message for several addresses. */
function causes(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const cause = error.cause instanceof AggregateError ? error.cause.errors[0] : error.cause;
  return cause === undefined ? error.message : causes(cause);
}
