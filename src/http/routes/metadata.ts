/** GET of the hub's metadata: what clients discover before they subscribe (RFC 9728; Mercure, "Discovery"). */
import { ACCESS_TOKEN_COOKIE } from "../auth/find-token.js";
import type { RouteMethod } from "../route-table.js";

export interface MetadataOptions {
  /** The name of the hub in tokens: their `aud`. */
  readonly resource: string;
  /** The issuer of tokens; undefined = not stated. */
  readonly issuer: string | undefined;
}

/** RFC 9728 section 3.1: before the path of the resource. */
export const metadataPath = (hubPath: string): string => `/.well-known/oauth-protected-resource${hubPath}`;

export function metadataResponse({ resource, issuer }: MetadataOptions): RouteMethod {
  const body = `${JSON.stringify({
    resource,
    ...(issuer !== undefined && { authorization_servers: [issuer] }),
    authorization_details_types_supported: ["https://mercure.rocks/authorization-detail"],
    bearer_methods_supported: ["header"],
    mercure_cookie: ACCESS_TOKEN_COOKIE,
    mercure_matcher_types_supported: ["exact", "urlpattern"],
    mercure_subscriptions: true,
  })}\n`;
  const headers = { "Content-Type": "application/json" };
  return () => ({ status: 200, headers, body, persists: true });
}
