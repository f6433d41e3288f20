/**
 * JSON Schema (draft 2020-12) of TypeScript types. `Schema<T>` carries the type that it describes, so the compiler rejects an object() that
 * leaves out a member of its type, or describes one wrongly: a document that is made of schemas has what the code has.
 */

export type JsonSchema = { readonly [keyword: string]: unknown };

export interface Schema<T> {
  readonly json: JsonSchema;
  /** Never set: makes Schema<number> and Schema<number | null> different types. */
  readonly describes?: (value: T) => T;
}

/** A member that may be absent. */
interface OptionalMember<T> {
  readonly optional: Schema<T>;
}

type Members<T> = {
  readonly [Name in keyof T]-?: object extends Pick<T, Name>
    ? OptionalMember<Exclude<T[Name], undefined>>
    : Schema<T[Name]>;
};

const schema = <T>(json: JsonSchema): Schema<T> => ({ json });

/** `more`: further keywords, such as pattern. */
export const text = (description: string, more: JsonSchema = {}): Schema<string> =>
  schema({ type: "string", description, ...more });

export const number = (description: string, more: JsonSchema = {}): Schema<number> =>
  schema({ type: "number", description, ...more });

/** A whole number from 0 on. */
export const count = (description: string): Schema<number> => schema({ type: "integer", minimum: 0, description });

export const flag = (description: string): Schema<boolean> => schema({ type: "boolean", description });

/** One of a few words. */
export const word = <const T extends string>(description: string, words: readonly T[]): Schema<T> =>
  schema({ type: "string", enum: words, description });

export const nullable = <T>({ json }: Schema<T>): Schema<T | null> => schema({ anyOf: [json, { type: "null" }] });

export const optional = <T>(member: Schema<T>): OptionalMember<T> => ({ optional: member });

export const list = <T>(description: string, of: Schema<T>): Schema<readonly T[]> =>
  schema({ type: "array", description, items: of.json });

/** An object with any member names. */
export const record = <T>(description: string, of: Schema<T>): Schema<Readonly<Record<string, T>>> =>
  schema({ type: "object", description, additionalProperties: of.json });

/** Any JSON value. */
export const anything = <T = unknown>(description: string): Schema<T> => schema({ description });

/** An object with these members and no others. The type comes from where it is used. */
export function object<T>(description: string, members: Members<NoInfer<T>>): Schema<T> {
  const entries = Object.entries(members as Record<string, Schema<unknown> | OptionalMember<unknown>>);
  return schema({
    type: "object",
    description,
    properties: Object.fromEntries(entries.map(([name, it]) => [name, "optional" in it ? it.optional.json : it.json])),
    required: entries.filter(([, it]) => !("optional" in it)).map(([name]) => name),
    additionalProperties: false,
  });
}
