/** The type of [[publish.curve]]: one entry for each publisher that is admitted by a CURVE key. */
import { listType, textType } from "./basic-types.js";
import { endpointType } from "./endpoint-types.js";
import { PLACEHOLDER } from "./secret-types.js";
import { showValue, tomlString } from "./show-value.js";
import { Invalid, type ValueType } from "./value-type.js";

/** One [[publish.curve]] table. */
export interface CurvePublisher {
  readonly name: string;
  readonly address: string;
  readonly server_secret_key: string;
  readonly client_public_key: string;
  /** Selectors, as in the claim mercure.publish of a token. */
  readonly topics: readonly string[];
  /** The socket at the address is a ROUTER instead of a PULL socket. */
  readonly acknowledged: boolean;
}

/** A key of 32 bytes in Z85 (rfc.zeromq.org/spec/32); "" = none. */
const Z85_KEY = /^(?:[0-9a-zA-Z.\-:+=^!/*?&<>()[\]{}@%$#]{40})?$/;
const EXPECTED_KEY = "a CURVE key of 40 characters, as `m2push keygen curve` prints it";

export const curvePublicKeyType: ValueType<string> = {
  expected: `${EXPECTED_KEY}; "" = none`,
  range: EXPECTED_KEY,
  word: "key",
  schema: { type: "string", pattern: "^(?:[!-~]{40})?$" },
  read: (value) =>
    typeof value === "string" && Z85_KEY.test(value) ? value : new Invalid(curvePublicKeyType.expected),
  print: tomlString,
};

export const curveSecretKeyType: ValueType<string> = {
  ...curvePublicKeyType,
  secret: true,
  print: (value) => tomlString(value === "" ? "" : PLACEHOLDER),
};

const address = endpointType();

/** The type of each key. All are required, except `acknowledged`. */
const ENTRY_TYPES = {
  name: textType('a name of at most 64 letters, digits, ".", "_" and "-"', /^[A-Za-z0-9._-]{1,64}$/),
  address,
  server_secret_key: curveSecretKeyType,
  client_public_key: curvePublicKeyType,
  topics: listType(
    textType("a topic or a URI template", /^[^\p{Cc}\p{Cs}]{1,1024}$/u),
    'topics such as ["news", "sensors/{id}"], or ["*"]',
  ),
} as const;

const EXPECTED =
  "tables [[publish.curve]], each with name, address, server_secret_key, client_public_key, topics and, optionally, acknowledged";

export const curvePublishersType: ValueType<readonly CurvePublisher[]> = {
  expected: EXPECTED,
  word: undefined,
  schema: {
    type: "array",
    items: {
      type: "object",
      properties: {
        ...Object.fromEntries(Object.entries(ENTRY_TYPES).map(([name, { schema }]) => [name, schema])),
        acknowledged: { type: "boolean" },
      },
      required: Object.keys(ENTRY_TYPES),
      additionalProperties: false,
    },
  },
  read(value) {
    if (!Array.isArray(value)) return new Invalid(EXPECTED);
    for (const [index, entry] of value.entries()) {
      const fault = entryFault(entry) ?? (isSecond(value, index) ? "the name of an earlier entry" : undefined);
      if (fault !== undefined) return new Invalid(EXPECTED, `${fault} in entry ${index + 1}`);
    }
    return value.map((entry) => ({ acknowledged: false, ...entry }));
  },
  resolve(entries, base) {
    const resolved = entries.map((entry) => ({
      ...entry,
      address: address.resolve?.(entry.address, base) ?? entry.address,
    }));
    const invalid = resolved.map((entry) => entry.address).find((one) => one instanceof Invalid);
    return invalid instanceof Invalid ? invalid : (resolved as CurvePublisher[]);
  },
  print: (entries) => `[${entries.map(printEntry).join(", ")}]`,
};

/** What is wrong with an entry; the values of keys are not shown. */
function entryFault(entry: unknown): string | undefined {
  if (typeof entry !== "object" || entry === null) return showValue(entry);
  const values = entry as Readonly<Record<string, unknown>>;
  const unknown = Object.keys(values).find((name) => name !== "acknowledged" && !Object.hasOwn(ENTRY_TYPES, name));
  if (unknown !== undefined) return `the unknown key ${showValue(unknown)}`;
  for (const [name, type] of Object.entries(ENTRY_TYPES)) {
    const value = values[name];
    if (value === undefined || value === "") return `no ${name}`;
    if (type.read(value) instanceof Invalid) return `an invalid ${name}`;
  }
  const { acknowledged = false } = values;
  return typeof acknowledged === "boolean" ? undefined : "an invalid acknowledged";
}

const isSecond = (entries: readonly { name?: unknown }[], at: number): boolean =>
  entries.slice(0, at).some(({ name }) => name === entries[at]?.name);

function printEntry(entry: CurvePublisher): string {
  const texts = Object.entries(ENTRY_TYPES).map(([name, type]) => {
    const print = type.print as (value: unknown) => string;
    return `${name} = ${print(entry[name as keyof CurvePublisher])}`;
  });
  return `{ ${[...texts, `acknowledged = ${entry.acknowledged}`].join(", ")} }`;
}
