/** Requests that a page of another site made the browser send, with the cookies of this site (CSRF). */
import { type Headers, header } from "../../protocol/request.js";
import { refuseToken, type TokenRefusal } from "./token-refusal.js";

/**
 * For a POST whose token is in a cookie: undefined if a page of an allowed origin sent it, by the Origin header or, without one, the
 * Referer; a refusal otherwise, also where both are absent (Mercure, "Cookie"). `allowed` are origins as browsers write them, the
 * hub's own included if its pages publish. "*" and "null" allow nothing here: "*" permits reading public events, not the use
 * of a visitor's cookie.
 */
export function refuseCrossSite(request: { headers: Headers }, allowed: readonly string[]): TokenRefusal | undefined {
  const origin = header(request, "origin") || refererOrigin(header(request, "referer"));
  if (origin === undefined)
    return refuseToken("invalid_request", "a cookie, but neither Origin nor a Referer that is a URL");
  if (origin !== "null" && origin !== "*" && allowed.includes(origin)) return undefined;
  return refuseToken("invalid_request", "an Origin or Referer that is not allowed to publish");
}

/**
 * For a POST that is trusted by the address of its sender: a refusal if a browser sent it for a page of an origin that is not
 * allowed (Origin, Referer, or Sec-Fetch-Site where both are absent). Programs send none of the three headers.
 */
export function refuseForeignPage(request: { headers: Headers }, allowed: readonly string[]): TokenRefusal | undefined {
  const origin = header(request, "origin") || refererOrigin(header(request, "referer"));
  if (origin !== undefined) return refuseCrossSite(request, allowed);
  const site = header(request, "sec-fetch-site")?.trim().toLowerCase();
  if (site === undefined || site === "same-origin" || site === "none") return undefined;
  return refuseToken("invalid_request", "a trusted address, and a page of another site (Sec-Fetch-Site)");
}

function refererOrigin(referer: string | undefined): string | undefined {
  return referer !== undefined && URL.canParse(referer) ? new URL(referer).origin : undefined;
}
