/** What clients can learn of the hub before they come: protected resource metadata (RFC 9728; Mercure, "Discovery"). */
import { COOKIE } from "../auth/carrier.js";
import { preflightHeaders } from "../cors.js";
import type { Route, RouteMethod } from "../router.js";

export interface MetadataParts {
  readonly path: string;
  /** The name by which tokens call the hub: their `aud`. */
  readonly resource: string;
  /** Who issues tokens; undefined = not said. */
  readonly issuer: string | undefined;
  readonly corsOrigins: () => readonly string[];
}

/** RFC 9728 section 3.1: before the resource's own path. */
export const metadataPath = (hubPath: string): string => `/.well-known/oauth-protected-resource${hubPath}`;

export function metadataRoute({ path, resource, issuer, corsOrigins }: MetadataParts): Route {
  const body = `${JSON.stringify({
    resource,
    ...(issuer !== undefined && { authorization_servers: [issuer] }),
    authorization_details_types_supported: ["https://mercure.rocks/authorization-detail"],
    bearer_methods_supported: ["header"],
    mercure_cookie: COOKIE,
    mercure_matcher_types_supported: ["exact", "urlpattern"],
    mercure_subscriptions: true,
  })}\n`;
  const headers = { "Content-Type": "application/json" };
  const get: RouteMethod = () => ({ status: 200, headers, body, persists: true });
  return {
    name: metadataPath(path),
    methods: { GET: get, HEAD: get },
    options: (request) => preflightHeaders(request, corsOrigins(), "GET, HEAD, OPTIONS"),
    optionsPersist: true,
  };
}
