/** The documentation of one method of one route: a member of the method itself, so that a route without it does not compile. */
import type { JsonSchema } from "./json-schema.js";

export interface ParameterDocs {
  readonly name: string;
  readonly in: "query" | "path" | "header";
  readonly doc: string;
  readonly required?: true;
  /** Absent = any text. */
  readonly schema?: JsonSchema;
  /** May be given several times. */
  readonly repeats?: true;
}

/** Schemas of the body by media type, without parameters. */
export type ContentDocs = Readonly<Record<string, JsonSchema>>;

export interface ResponseDocs {
  readonly doc: string;
  /** Absent = no body. */
  readonly content?: ContentDocs;
}

export interface OperationDocs {
  /** Unique among all operations, camel case. */
  readonly id: string;
  readonly summary: string;
  readonly description?: string;
  /** Those in the path, too. */
  readonly parameters?: readonly ParameterDocs[];
  readonly body?: ContentDocs;
  /** By status: every one that the method sends. */
  readonly responses: Readonly<Record<number, ResponseDocs>>;
}

export type Documented<Method> = Method & { readonly docs: OperationDocs };

/** The method with its documentation. */
export function documented<Arguments extends unknown[], Result>(
  docs: OperationDocs,
  method: (...given: Arguments) => Result,
): Documented<(...given: Arguments) => Result> {
  return Object.assign((...given: Arguments) => method(...given), { docs });
}

/** The documentation of a HEAD beside a GET. */
export const headDocs = (get: OperationDocs): OperationDocs => ({
  ...get,
  id: `${get.id}Head`,
  summary: `${get.summary} (the head only)`,
  responses: Object.fromEntries(Object.entries(get.responses).map(([status, { doc }]) => [status, { doc }])),
});

/** Plain text of one line or more. */
export const TEXT_CONTENT: ContentDocs = { "text/plain": { type: "string" } };
