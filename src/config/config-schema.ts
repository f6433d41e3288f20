/** The configuration file as JSON Schema, for editors and for programs that generate the file. Made from the tables in schema.ts. */
import { parse } from "smol-toml";
import type { JsonSchema } from "../api-docs/json-schema.js";
import { capitalized } from "./describe-key.js";
import { type Config, type ConfigKey, type ConfigKeys, sections, tableArrays } from "./schema.js";
import { SECTION_DOCS } from "./section-docs.js";

/** What SIGHUP does with a key. */
const CHANGE_TEXTS = { live: "SIGHUP applies it.", restart: "It changes with the next start." } as const;

/** Rules over several keys are not in it: `m2push config --check` has all. */
export function configSchema(): JsonSchema {
  const tables = Object.entries(sections).map(([name, keys]) => [name, tableSchema(name, keys)]);
  const arrays = Object.entries(tableArrays).map(([name, keys]) => [
    name,
    { type: "array", description: docOf(name), minItems: 1, items: tableSchema(name, keys) },
  ]);
  return {
    $schema: "https://json-schema.org/draft/2020-12/schema",
    title: "Configuration of m2push",
    description:
      "m2push.toml. Every key has a default. `m2push config --check -c FILE` also checks rules over several keys.",
    type: "object",
    properties: Object.fromEntries([...arrays, ...tables]),
    additionalProperties: false,
  };
}

const docOf = (name: string): string => SECTION_DOCS[name as keyof Config];

const tableSchema = (name: string, keys: ConfigKeys): JsonSchema => ({
  type: "object",
  description: docOf(name),
  properties: Object.fromEntries(Object.entries(keys).map(([key, definition]) => [key, keySchema(definition)])),
  additionalProperties: false,
});

function keySchema({ type, default: value, doc, change }: ConfigKey<unknown>): JsonSchema {
  const description = `${doc} ${capitalized(type.expected)}. ${CHANGE_TEXTS[change]}`;
  if (value === undefined || value === null) return { ...type.schema, description };
  return { ...type.schema, description, default: parse(`key = ${type.print(value)}`).key };
}
