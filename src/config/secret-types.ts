/** Types of values that are never shown: keys, passwords and tokens. A printed configuration has a placeholder for them. */
import { isAbsolute, resolve } from "node:path";
import { plainTextType } from "./basic-types.js";
import { keyForm } from "./key-form.js";
import { tomlString } from "./show-value.js";
import { Invalid, type ValueType } from "./value-type.js";

/** Printed in the place of a secret. Never accepted as one: a printed configuration may be loaded again. */
export const PLACEHOLDER = "***";

const printedSecret = (expected: string): Invalid =>
  new Invalid(expected, `${PLACEHOLDER}, the placeholder of a printed configuration`);

/** Key material; see KeyForm. Only the path of a key file is ever shown. */
export const keyMaterialType: ValueType<string> = {
  expected: 'an HS256 secret, a PEM block, or the path of a PEM or JWKS file (/..., ./..., *.pem, *.json); "" = none',
  range: "an HS256 secret, a PEM block, or the path of a PEM or JWKS file",
  word: "key",
  schema: { type: "string" },
  secret: true,
  read(value) {
    if (typeof value !== "string" || value.includes("\0")) return new Invalid(keyMaterialType.expected);
    if (value === PLACEHOLDER) return printedSecret("a key");
    return /^\s*\{.*\}\s*$/s.test(value) ? new Invalid("the path of a JWKS file", "JSON") : value;
  },
  resolve: (value, base) => (keyForm(value) === "file" && !isAbsolute(value) ? resolve(base, value) : value),
  print: (value) => tomlString(keyForm(value) === "secret" || keyForm(value) === "pem" ? PLACEHOLDER : value),
};

/** A password or token, or "" = none. */
export const secretTextType: ValueType<string> = {
  ...plainTextType,
  secret: true,
  read: (value) => (value === PLACEHOLDER ? printedSecret("a string") : plainTextType.read(value)),
  print: (value) => tomlString(value === "" ? "" : PLACEHOLDER),
};

/** A token for an Authorization header (RFC 6750 section 2.1), too long to be guessed; "" = none. */
export const bearerTokenType: ValueType<string> = {
  expected: 'at least 16 letters, digits and "-._~+/="; "" = none',
  range: 'at least 16 letters, digits and "-._~+/="',
  word: "token",
  schema: { type: "string", pattern: "^(?:[A-Za-z0-9._~+/=-]{16,512})?$" },
  secret: true,
  read: (value) =>
    typeof value === "string" && /^(?:[A-Za-z0-9._~+/=-]{16,512})?$/.test(value)
      ? value
      : new Invalid(bearerTokenType.expected),
  print: (value) => tomlString(value === "" ? "" : PLACEHOLDER),
};

/** Bytes of a secret (Standard Webhooks, "Signature scheme"). */
const MIN_WEBHOOK_SECRET_BYTES = 24;
const MAX_WEBHOOK_SECRET_BYTES = 64;

/** A secret of Standard Webhooks; "" = none. */
export const webhookSecretType: ValueType<string> = {
  expected: '"whsec_" and the base64 of 24 to 64 bytes, as `m2push keygen webhook` prints it; "" = none',
  range: '"whsec_" and the base64 of 24 to 64 bytes',
  word: "secret",
  schema: { type: "string", pattern: "^(?:whsec_[A-Za-z0-9+/]+={0,2})?$" },
  secret: true,
  read: (value) =>
    typeof value === "string" && (value === "" || isWebhookSecret(value))
      ? value
      : new Invalid(webhookSecretType.expected),
  print: (value) => tomlString(value === "" ? "" : PLACEHOLDER),
};

function isWebhookSecret(value: string): boolean {
  const [, base64 = ""] = /^whsec_([A-Za-z0-9+/]+={0,2})$/.exec(value) ?? [];
  const { length } = Buffer.from(base64, "base64");
  return length >= MIN_WEBHOOK_SECRET_BYTES && length <= MAX_WEBHOOK_SECRET_BYTES;
}
