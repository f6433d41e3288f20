/** The routes that Mongrel2 forwards, as OpenAPI paths. */
import type { AddressDocs, PathDocs } from "../../api-docs/openapi.js";
import type { OperationDocs } from "../../api-docs/operation.js";
import type { DocumentedRoute } from "../route-table.js";
import { PREFLIGHT_DOCS } from "./hub-docs.js";

/** `origin`: what browsers see, "https://www.example.com". */
export function describeHub(origin: string, routes: ReadonlyMap<string, DocumentedRoute>): AddressDocs {
  return {
    url: origin,
    name: "hub",
    doc: "Event streams and the Mercure hub, through Mongrel2.",
    paths: [...routes].flatMap(([path, route]) => pathsOf(path, route)),
    security: [{}, { token: [] }],
  };
}

function pathsOf(path: string, { methods, templates }: DocumentedRoute): PathDocs[] {
  const own = Object.fromEntries(Object.entries(methods).map(([method, { docs }]) => [method, docs]));
  const all = templates ?? [{ path: "" }];
  return all.map((template) => {
    const operations: Readonly<Record<string, OperationDocs>> = template.docs ?? own;
    const full = path + template.path;
    return { path: full, operations: { ...operations, OPTIONS: { ...PREFLIGHT_DOCS, id: preflightId(full) } } };
  });
}

/** Operation ids are unique: made of the letters of the path. */
const preflightId = (path: string): string => `preflight${path.replace(/[^A-Za-z0-9]+/g, "_")}`;
