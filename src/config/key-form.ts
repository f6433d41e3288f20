/** What the text of a key setting is: nothing, a PEM block, the path of a PEM or JWKS file, or an HS256 secret. */
import { existsSync } from "node:fs";

/** A path begins with "/", "./" or "../", or ends as key files do; a secret must not look like one. */
export type KeyForm = "none" | "pem" | "file" | "secret";

export function keyForm(value: string): KeyForm {
  if (value === "") return "none";
  if (value.includes("-----BEGIN ")) return "pem";
  if (isBase64Key(value)) return "secret";
  if (/^\.{0,2}\//.test(value) || /^[^\n\r]*\.(?:pem|key|pub|crt|json|jwk|jwks)$/.test(value)) return "file";
  return "secret";
}

/** The shortest base64 of a key (16 bytes), and the shortest that is no path even without "+" or "=". */
const MIN_BASE64_CHARS = 22;
const MIN_PLAIN_BASE64_CHARS = 40;

/**
 * One base64 key in 64 begins with "/". It differs from a path by characters that paths hardly have, or by its length below no
 * folder that exists. A path needs a "." or "-" in it, or a first folder that exists.
 */
function isBase64Key(value: string): boolean {
  if (!/^\/[A-Za-z0-9+/]+={0,2}$/.test(value) || value.length < MIN_BASE64_CHARS) return false;
  if (/[+=]/.test(value)) return true;
  return value.length >= MIN_PLAIN_BASE64_CHARS && !existsSync(/^\/[^/]*/.exec(value)?.[0] ?? "/");
}
