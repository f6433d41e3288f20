/** Which encoding a stream has: gzip for clients that accept it, where it is offered ([stream] compression; RFC 9110 section 12.5.3). */
import type { Interest } from "../matching/interest.js";
import type { HttpRequest } from "../protocol/request.js";
import { memoizeLast } from "../util/memoize-last.js";
import type { CorsHeaders } from "./cors.js";

type Headers = Readonly<Record<string, string>>;

const GZIP_NAMES: ReadonlySet<string> = new Set(["gzip", "x-gzip"]);
/** RFC 9110 section 12.4.2. */
const WEIGHT = /^[ \t]*;[ \t]*q=(0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)[ \t]*$/i;

/**
 * Whether a request prefers gzip to a response that is not encoded. Without the header it is not: old clients send none, and cannot decode. A
 * weight that is malformed counts as 0.
 */
export function prefersGzip({ headers }: Pick<HttpRequest, "headers">): boolean {
  const values = headers.get("accept-encoding");
  return values !== undefined && isGzipPreferred(values.join(","));
}

/** Consecutive clients mostly send the same list, and it is needed twice for each: for its audience and its head. */
const isGzipPreferred = memoizeLast((list: string): boolean => {
  const weights = weightsOf(list);
  const any = weights.get("*") ?? 0;
  const gzip = weights.get("gzip") ?? any;
  return gzip > 0 && gzip >= (weights.get("identity") ?? 0);
});

/** The weights by coding; of two for one coding the first counts. */
function weightsOf(list: string): Map<string, number> {
  const weights = new Map<string, number>();
  for (const item of list.split(",")) {
    const end = item.indexOf(";");
    const name = (end < 0 ? item : item.slice(0, end)).trim().toLowerCase();
    const coding = GZIP_NAMES.has(name) ? "gzip" : name;
    if (coding === "" || weights.has(coding)) continue;
    weights.set(coding, end < 0 ? 1 : Number(WEIGHT.exec(item.slice(end))?.[1] ?? 0));
  }
  return weights;
}

/** Headers of a response that has several encodings, besides those of CORS. */
export function varyingHeaders(cors: CorsHeaders, isCompressed: boolean): Headers {
  const vary = cors.Vary === undefined ? "Accept-Encoding" : `Accept-Encoding, ${cors.Vary}`;
  return { ...cors, Vary: vary, ...(isCompressed && { "Content-Encoding": "gzip" }) };
}

/** The same interest of a compressed stream; consecutive clients share the object. */
export const compressed = memoizeLast((interest: Interest): Interest => ({ ...interest, isCompressed: true }));
