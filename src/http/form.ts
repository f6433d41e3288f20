/**
 * Query strings and form bodies (URL Standard, application/x-www-form-urlencoded), with one difference: text that is not UTF-8 is an error
 * instead of U+FFFD, so that no topic differs from the one that its sender meant.
 */
import { isUtf8 } from "node:buffer";
import { ProtocolError } from "../errors.js";
import { type HttpRequest, header } from "../protocol/request.js";
import { rejection } from "./error-response.js";
import type { Response } from "./response.js";

/** Names and values in their order. */
export type Form = readonly (readonly [name: string, value: string])[];

/** Parameters of one form: more than any valid request has. */
const MAX_PARAMETER_COUNT = 4_000;

/** Throws "invalid" for text that is not UTF-8, "too_large" for too many parameters. */
export function parseForm(text: string): Form {
  if (text === "") return [];
  const pairs = text.split("&", MAX_PARAMETER_COUNT + 1).filter((pair) => pair !== "");
  if (pairs.length > MAX_PARAMETER_COUNT) {
    throw new ProtocolError("too_large", `more than ${MAX_PARAMETER_COUNT} parameters`);
  }
  return pairs.map((pair) => {
    const equals = pair.indexOf("=");
    const name = equals < 0 ? pair : pair.slice(0, equals);
    return [decode(name), equals < 0 ? "" : decode(pair.slice(equals + 1))];
  });
}

/** Parses the bytes of a body, one character for each byte (latin1). */
export const parseFormBody = (body: Buffer): Form => parseForm(body.toString("latin1"));

export const FORM_TYPE = "application/x-www-form-urlencoded";

export function isForm(request: HttpRequest): boolean {
  return /^application\/x-www-form-urlencoded *(;|$)/i.test(header(request, "content-type") ?? "");
}

/** Rejects a body with a content coding (RFC 9110 section 15.5.16); undefined = it has none. */
export function rejectEncodedBody(request: HttpRequest): Response | undefined {
  const coding = header(request, "content-encoding") ?? "";
  if (/^(identity)?$/i.test(coding)) return undefined;
  return rejection("unsupported_type", {
    headers: { "Accept-Encoding": "identity" },
    body: "a body with a Content-Encoding is not supported; fix: send it unencoded\n",
    persists: true,
  });
}

export function valuesOf(form: Form, name: string): string[] {
  return form.filter(([it]) => it === name).map(([, value]) => value);
}

/** A "%" that is not followed by two hexadecimal digits stands for itself. */
function decode(text: string): string {
  const spaced = text.replaceAll("+", " ");
  if (!spaced.includes("%") && /^[\x00-\x7f]*$/.test(spaced)) return spaced;
  const bytes = Buffer.from(
    spaced.replace(/%([0-9A-Fa-f]{2})/g, (_, hex) => String.fromCharCode(Number.parseInt(hex, 16))),
    "latin1",
  );
  if (!isUtf8(bytes)) throw new ProtocolError("invalid", "a parameter is not UTF-8");
  return bytes.toString();
}
