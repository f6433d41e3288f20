/** One POST request of a webhook: redirects are not followed, and of the response's body little is read. */

export interface PostRequest {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  /** Ends the request; its reason is the reason of the failure. */
  readonly signal: AbortSignal;
}

export type PostResult =
  | { readonly outcome: "taken" }
  /** The receiver wants no further requests: 410. */
  | { readonly outcome: "gone" }
  /** `reason`: for the log. `retryAfter`: the header; absent = the receiver does not say. */
  | { readonly outcome: "failed"; readonly reason: string; readonly retryAfter?: string | undefined };

/** Never rejects. */
export type Post = (request: PostRequest) => Promise<PostResult>;

/** Bytes of a response's body that are read, so that the connection can be used again; beyond them it is closed. */
const MAX_RESPONSE_BYTES = 64_000;

export const post: Post = async ({ url, headers, body, signal }) => {
  try {
    const all = { "content-type": "application/json", "user-agent": "m2push", ...headers };
    const response = await fetch(url, { method: "POST", redirect: "manual", headers: all, body, signal });
    await discardBody(response);
    if (response.ok) return { outcome: "taken" };
    if (response.status === 410) return { outcome: "gone" };
    const retryAfter = response.headers.get("retry-after") ?? undefined;
    return { outcome: "failed", reason: `status ${response.status}`, retryAfter };
  } catch (error) {
    return { outcome: "failed", reason: reasonOf(error) };
  }
};

/** What the receiver has said counts, also where its body does not end. */
async function discardBody({ body }: Response): Promise<void> {
  if (!body) return;
  const reader = body.getReader();
  try {
    for (let bytes = 0; bytes <= MAX_RESPONSE_BYTES; ) {
      const { done, value } = await reader.read();
      if (done) return;
      bytes += value.length;
    }
    await reader.cancel();
  } catch {
    // Cut off, or too slow: the status is known.
  }
}

/** fetch() says "fetch failed", and its cause says why. */
function reasonOf(error: unknown): string {
  const { message, cause } = error as Error;
  return cause instanceof Error ? cause.message || String((cause as NodeJS.ErrnoException).code) : message;
}
