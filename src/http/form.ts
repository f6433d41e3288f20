/**
 * Query strings and form bodies (URL Standard, application/x-www-form-urlencoded), but for one thing: what is not UTF-8 is an
 * error, not a text with U+FFFD in it. A topic that is not what its sender meant must not come to be.
 */
import { isUtf8 } from "node:buffer";
import { ProtocolError } from "../errors.js";
import { type HttpRequest, header } from "../protocol/request.js";

/** Names and values in their order. */
export type Form = readonly (readonly [name: string, value: string])[];

/** Pairs in one form: more than any request here can use, less than takes time. */
const MAX_PAIRS = 4_000;

/** Throws "invalid" for what is not UTF-8, "too_large" for too many pairs. */
export function parseForm(text: string): Form {
  if (text === "") return [];
  const pairs = text.split("&", MAX_PAIRS + 1).filter((pair) => pair !== "");
  if (pairs.length > MAX_PAIRS) {
    throw new ProtocolError("too_large", `more than ${MAX_PAIRS} parameters`);
  }
  return pairs.map((pair) => {
    const equals = pair.indexOf("=");
    const name = equals < 0 ? pair : pair.slice(0, equals);
    return [decode(name), equals < 0 ? "" : decode(pair.slice(equals + 1))];
  });
}

/** The form of a body: `text` is its bytes, one character each (latin1). */
export const parseFormBody = (body: Buffer): Form => parseForm(body.toString("latin1"));

export function isForm(request: HttpRequest): boolean {
  return /^application\/x-www-form-urlencoded *(;|$)/i.test(header(request, "content-type") ?? "");
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
