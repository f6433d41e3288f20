/** An OpenAPI 3.1 document from the documentation of the routes that are served. */
import type { JsonSchema } from "./json-schema.js";
import type { ContentDocs, OperationDocs, ParameterDocs, ResponseDocs } from "./operation.js";

/** One path template and its methods. */
export interface PathDocs {
  /** As in OpenAPI: "/clients/{server}/{id}". */
  readonly path: string;
  readonly operations: Readonly<Record<string, OperationDocs>>;
}

/** The paths of one address. */
export interface AddressDocs {
  /** Its URL, "" = that of the document. */
  readonly url: string;
  /** What it is for; also the tag of its operations. */
  readonly name: string;
  readonly doc: string;
  readonly paths: readonly PathDocs[];
  /** The security schemes of which one is needed; absent = none. */
  readonly security?: readonly JsonSchema[];
}

const SECURITY_SCHEMES = {
  operator: {
    type: "http",
    scheme: "bearer",
    description: "[admin] token. Not needed without one on a loopback address.",
  },
  token: { type: "http", scheme: "bearer", bearerFormat: "JWT", description: "A subscriber's or publisher's token." },
};

/** Methods that OpenAPI 3.1 knows; others become extensions. */
const KNOWN_METHODS = new Set(["get", "put", "post", "delete", "options", "head", "patch", "trace"]);

/** `version`: of m2push. */
export function openApi(version: string, addresses: readonly AddressDocs[]): JsonSchema {
  return {
    openapi: "3.1.0",
    jsonSchemaDialect: "https://json-schema.org/draft/2020-12/schema",
    info: {
      title: "m2push",
      version,
      summary: "The push daemon for Mongrel2: event streams, publishing, and the admin address.",
      description:
        "Made from the route tables of the running daemon. A request with another method than those of its path gets 405, one for another " +
        "path 404. QUERY (RFC 10008), which OpenAPI 3.1 does not know, is the extension x-query.",
      license: { name: "MIT", identifier: "MIT" },
    },
    tags: addresses.map(({ name, doc }) => ({ name, description: doc })),
    paths: Object.fromEntries(addresses.flatMap((address) => address.paths.map((path) => pathItem(address, path)))),
    components: { securitySchemes: SECURITY_SCHEMES },
  };
}

function pathItem({ url, name, security }: AddressDocs, { path, operations }: PathDocs): [string, JsonSchema] {
  const methods = Object.entries(operations).map(([method, docs]) => {
    const key = method.toLowerCase();
    return [KNOWN_METHODS.has(key) ? key : `x-${key}`, operation(docs, name, security)];
  });
  return [path, { ...(url !== "" && { servers: [{ url }] }), ...Object.fromEntries(methods) }];
}

function operation(docs: OperationDocs, tag: string, security: readonly JsonSchema[] = []): JsonSchema {
  const { id, summary, description, parameters = [], body, responses } = docs;
  return {
    operationId: id,
    tags: [tag],
    summary,
    ...(description !== undefined && { description }),
    ...(parameters.length > 0 && { parameters: parameters.map(parameter) }),
    ...(body && { requestBody: { required: true, content: content(body) } }),
    responses: Object.fromEntries(Object.entries(responses).map(([status, it]) => [status, response(it)])),
    security,
  };
}

function parameter({
  name,
  in: place,
  doc,
  required,
  schema = { type: "string" },
  repeats,
}: ParameterDocs): JsonSchema {
  return {
    name,
    in: place,
    description: doc,
    ...((required || place === "path") && { required: true }),
    schema: repeats ? { type: "array", items: schema } : schema,
    ...(repeats && { explode: true, style: "form" }),
  };
}

const response = ({ doc, content: body }: ResponseDocs): JsonSchema => ({
  description: doc,
  ...(body && { content: content(body) }),
});

const content = (body: ContentDocs): JsonSchema =>
  Object.fromEntries(Object.entries(body).map(([type, schema]) => [type, { schema }]));
