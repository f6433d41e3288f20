/** Machine-readable documentation of the daemon, made from the tables that it runs on: OpenAPI, AsyncAPI, JSON Schema. */
import type { JsonSchema } from "../../api-docs/json-schema.js";
import { type AddressDocs, openApi } from "../../api-docs/openapi.js";
import { documented } from "../../api-docs/operation.js";
import { type DocumentedAdminRoute, json, textResponse } from "./admin-response.js";
import { documentDocs } from "./operation-docs.js";

export interface DocumentParts {
  /** The routes that Mongrel2 forwards; undefined = they are not served yet. */
  readonly hub: () => AddressDocs | undefined;
  readonly asyncApi: () => JsonSchema;
  readonly configSchema: () => JsonSchema;
}

/** `version`: of m2push. `admin`: the routes of the admin address. */
export function documentRoutes(
  version: string,
  { hub, asyncApi, configSchema }: DocumentParts,
  admin: () => AddressDocs[],
): Map<string, DocumentedAdminRoute> {
  const openApiDocument = () => {
    const served = hub();
    return served ? json(openApi(version, [served, ...admin()])) : textResponse(503, "m2push is starting");
  };
  return new Map<string, DocumentedAdminRoute>([
    ["/openapi.json", { GET: documented(documentDocs("openApi", "This document: OpenAPI 3.1"), openApiDocument) }],
    [
      "/asyncapi.json",
      {
        GET: documented(documentDocs("asyncApi", "AsyncAPI 3 of streams and ZeroMQ sockets"), () => json(asyncApi())),
      },
    ],
    [
      "/config.schema.json",
      {
        GET: documented(documentDocs("configSchema", "JSON Schema of the configuration file"), () =>
          json(configSchema()),
        ),
      },
    ],
  ]);
}

/** The paths of the admin address. HEAD is served wherever GET is. */
export function describeAdmin(
  routes: Iterable<readonly [path: string, route: DocumentedAdminRoute]>,
  isGuarded: boolean,
): AddressDocs {
  return {
    url: "",
    name: isGuarded ? "operators" : "admin",
    doc: isGuarded
      ? "The admin address, for operators: with [admin] token, or without one from this machine."
      : "The admin address: nothing that names a client.",
    paths: Array.from(routes, ([path, route]) => ({
      path,
      operations: Object.fromEntries(Object.entries(route).map(([method, { docs }]) => [method, docs])),
    })),
    ...(isGuarded && { security: [{}, { operator: [] }] }),
  };
}
