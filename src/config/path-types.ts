/** Types of paths: of URLs and of files. File paths become absolute when they are loaded: nothing later depends on the working folder. */
import { resolve } from "node:path";
import { textType } from "./basic-types.js";
import { tomlString } from "./show-value.js";
import { Invalid, type ValueType } from "./value-type.js";

/** The path of an HTTP request, compared byte for byte: no query, no empty segment, no segment "." or "..". */
export const urlPathType: ValueType<string> = {
  ...textType(
    'a path such as "/events", without query',
    /^(?!.*\/\/)(?!.*\/\.{1,2}(?:\/|$))\/[A-Za-z0-9._~!$&'()*+,;=:@%/-]*$/,
  ),
  word: "path",
};

/** The same for a path that has other paths below it: it does not end in "/". */
export const parentPathType: ValueType<string> = {
  ...urlPathType,
  expected: 'a path such as "/events", without query, and without "/" at its end',
  read: (value) =>
    typeof value === "string" && value.endsWith("/") ? new Invalid(parentPathType.expected) : urlPathType.read(value),
};

/** A file or folder. */
export const filePathType: ValueType<string> = {
  ...textType("a file path", /^[^\0\n\r]+$/),
  word: "path",
  resolve: (value, base) => resolve(base, value),
};

/** A file, or "" = none. */
export const optionalPathType: ValueType<string> = {
  expected: 'a file path; "" = none',
  word: "path",
  schema: { type: "string" },
  read: (value) => (value === "" ? value : (filePathType.read(value) as string | Invalid)),
  resolve: (value, base) => (value === "" ? value : resolve(base, value)),
  print: tomlString,
};
