/** GET of the hub's metadata: what clients discover before they subscribe (RFC 9728; Mercure, "Discovery"). */
import { ACCESS_TOKEN_COOKIE } from "../auth/find-token.js";
import type { RouteMethod } from "../route-table.js";

export interface MetadataOptions {
  /** The name of the hub in tokens: their `aud`. */
  readonly resource: string;
  /** The issuers of tokens; empty = not stated. */
  readonly issuers: readonly string[];
}

/** RFC 9728 section 3.1: before the path of the resource. */
export const metadataPath = (hubPath: string): string => `/.well-known/oauth-protected-resource${hubPath}`;

export function metadataResponse({ resource, issuers }: MetadataOptions): RouteMethod {
  const body = `${JSON.stringify({
    resource,
    ...(issuers.length > 0 && { authorization_servers: issuers }),
    authorization_details_types_supported: ["https://mercure.rocks/authorization-detail"],
    bearer_methods_supported: ["header"],
    mercure_cookie: ACCESS_TOKEN_COOKIE,
    mercure_matcher_types_supported: ["exact", "urlpattern"],
    mercure_subscriptions: true,
  })}\n`;
  const headers = { "Content-Type": "application/json" };
  return () => ({ status: 200, headers, body, persists: true });
}
