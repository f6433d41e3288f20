/** Reads a JWKS over HTTP. */

export interface FetchedJwks {
  readonly text: string;
  /** For how long the response may be used (RFC 9111 section 5.2.2.1), milliseconds; undefined = it does not say. */
  readonly maxAgeMs: number | undefined;
}

/** Rejects where there is no complete response with status 200. */
export type FetchJwks = (url: string) => Promise<FetchedJwks>;

/** Requests whose token has an unknown key wait as long. */
const RESPONSE_TIMEOUT_MS = 5000;
const MAX_BODY_BYTES = 1_000_000;
const MS_PER_SECOND = 1000;

/** A redirect is an error: its target was not configured. */
export const fetchJwks: FetchJwks = async (url) => {
  const signal = AbortSignal.timeout(RESPONSE_TIMEOUT_MS);
  const headers = { Accept: "application/jwk-set+json, application/json" };
  const response = await fetch(url, { redirect: "error", signal, headers }).catch((error: unknown) => {
    throw new Error(causeOf(error), { cause: error });
  });
  if (response.status !== 200) {
    await response.body?.cancel();
    throw new Error(`status ${response.status}`);
  }
  return { text: await readBody(response), maxAgeMs: maxAgeOf(response.headers.get("cache-control") ?? "") };
};

/** fetch() says "fetch failed", and its cause says why. */
function causeOf(error: unknown): string {
  const { cause, message } = error as Error;
  return cause instanceof Error ? cause.message || String((cause as NodeJS.ErrnoException).code) : message;
}

async function readBody({ body }: Response): Promise<string> {
  const pieces: Uint8Array[] = [];
  let bytes = 0;
  for await (const piece of body ?? []) {
    bytes += piece.length;
    if (bytes > MAX_BODY_BYTES) throw new Error(`the response has more than ${MAX_BODY_BYTES} bytes`);
    pieces.push(piece);
  }
  return Buffer.concat(pieces).toString("utf8");
}

function maxAgeOf(cacheControl: string): number | undefined {
  const [, seconds] = /(?:^|[\s,])max-age="?(\d{1,9})/i.exec(cacheControl) ?? [];
  return seconds === undefined ? undefined : Number(seconds) * MS_PER_SECOND;
}
