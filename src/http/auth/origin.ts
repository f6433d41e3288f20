/** Requests that another site's page made the browser send, with the cookies it has of ours (CSRF). */
import { type Headers, header } from "../../protocol/request.js";
import { type Refusal, refusal } from "./refusal.js";

/**
 * For a request that changes something (POST) and has its token in a cookie: undefined when it comes from a page of an allowed
 * origin, as the Origin header says or, without one, the Referer; a refusal otherwise, and when both are absent (Mercure,
 * "Cookie"). `allowed` are origins as browsers write them, the hub's own too if its pages publish. "*" allows nobody here: it
 * says that anybody may read what is public, not that anybody may use somebody's cookie. Nor does the origin "null".
 */
export function refuseCrossSite(request: { headers: Headers }, allowed: readonly string[]): Refusal | undefined {
  const origin = header(request, "origin") || refererOrigin(header(request, "referer"));
  if (origin === undefined)
    return refusal("invalid_request", "a cookie, but neither Origin nor a Referer that is a URL");
  if (origin !== "null" && origin !== "*" && allowed.includes(origin)) return undefined;
  return refusal("invalid_request", "an Origin or Referer that is not allowed to publish");
}

/**
 * For a request that changes something and is trusted for its peer's address: a refusal when a browser sent it for a page of
 * an origin that is not allowed (Origin, Referer, or Sec-Fetch-Site where both are absent). Programs send none of the three.
 */
export function refuseForeignPage(request: { headers: Headers }, allowed: readonly string[]): Refusal | undefined {
  const origin = header(request, "origin") || refererOrigin(header(request, "referer"));
  if (origin !== undefined) return refuseCrossSite(request, allowed);
  const site = header(request, "sec-fetch-site")?.trim().toLowerCase();
  if (site === undefined || site === "same-origin" || site === "none") return undefined;
  return refusal("invalid_request", "a trusted address, and a page of another site (Sec-Fetch-Site)");
}

function refererOrigin(referer: string | undefined): string | undefined {
  return referer !== undefined && URL.canParse(referer) ? new URL(referer).origin : undefined;
}
