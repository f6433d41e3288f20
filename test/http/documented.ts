/** Routes that compare each of their responses with their documentation, whatever the test that causes it looks at. */
import assert from "node:assert/strict";
import { after } from "node:test";
import { errorResponse } from "../../src/http/error-response.js";
import type { DocumentedRoute, RouteMethod, RouteResult } from "../../src/http/route-table.js";
import type { HttpRequest } from "../../src/protocol/request.js";

const undocumented = new Set<string>();

after(() => {
  assert.deepEqual(
    [...undocumented],
    [],
    "responses that OpenAPI does not have; fix: add their status to the documentation of the route in src/http/docs/hub-docs.ts",
  );
});

export const checkedRoutes = (routes: ReadonlyMap<string, DocumentedRoute>): Map<string, DocumentedRoute> =>
  new Map(Array.from(routes, ([path, route]) => [path, { ...route, methods: checkedMethods(path, route) }]));

const checkedMethods = (path: string, { methods }: DocumentedRoute): DocumentedRoute["methods"] =>
  Object.fromEntries(
    Object.entries(methods).map(([name, method]) => [
      name,
      Object.assign(checked(path, method), { docs: method.docs }),
    ]),
  );

function checked(path: string, method: DocumentedRoute["methods"][string]): RouteMethod {
  const check = (request: HttpRequest, result: RouteResult): RouteResult => {
    const status = result === "streaming" ? 200 : result?.status;
    if (status !== undefined && !(status in method.docs.responses))
      undocumented.add(`${request.method} ${path}: ${status}`);
    return result;
  };
  return (server, request) => {
    const result = method(server, request);
    if (!(result instanceof Promise)) return check(request, result);
    return result.then(
      (it) => check(request, it),
      (error) => {
        check(request, errorResponse(error));
        throw error;
      },
    );
  };
}
