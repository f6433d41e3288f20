/** The keys that a setting names: publisher_key, subscriber_key. What is taken for what is told by config/key-form.ts. */
import { readFileSync } from "node:fs";
import { keyForm } from "../../config/key-form.js";
import { M2pushError } from "../../errors.js";
import { readJwks } from "./jwks.js";
import { isPublicKeyText, readPem } from "./pem.js";
import { secretKey, unusable, type VerificationKey, weakness } from "./verification-key.js";

export interface KeySet {
  /** Empty when the setting is: then no token is good. */
  readonly keys: readonly VerificationKey[];
  /** What the operator should know, each with the name of the setting; never a key. */
  readonly warnings: readonly string[];
}

const MAX_FILE = 1_000_000;

/**
 * Loads what `material`, the value of the setting `name`, stands for: an HS256 secret as it is, a PEM block, or the path of a
 * file with a PEM block, a JWKS, or nothing but a secret on a line. Reads the file at once and once: to take in a
 * changed one, load again. Throws "config_invalid", which says what is wrong with it and the mend.
 */
export function loadKeys(name: string, material: string): KeySet {
  try {
    const { keys, leftOut } = read(material);
    const warnings = [...leftOut, ...keys.flatMap((key) => weakness(key) ?? [])];
    return { keys, warnings: warnings.map((warning) => `${name}: ${warning}`) };
  } catch (error) {
    if (!(error instanceof M2pushError)) throw error;
    throw new M2pushError(error.code, `${name}: ${error.message}`, { cause: error.cause });
  }
}

interface Found {
  readonly keys: readonly VerificationKey[];
  readonly leftOut: readonly string[];
}

const only = (key: VerificationKey): Found => ({ keys: [key], leftOut: [] });

function read(material: string): Found {
  switch (keyForm(material)) {
    case "none":
      return { keys: [], leftOut: [] };
    case "pem":
      return only(readPem(material));
    case "secret":
      return only(readSecret(material));
    case "file":
      return readFile(material);
  }
}

/** A file's content says what it is. */
function readFile(path: string): Found {
  try {
    const text = readText(path);
    if (text.trimStart().startsWith("{")) return readJwks(text);
    if (keyForm(text) === "pem") return only(readPem(text));
    return only(readSecret(text.replace(/\r?\n$/, "")));
  } catch (error) {
    if (!(error instanceof M2pushError)) throw error;
    throw unusable(`${path}: ${error.message}`, error.cause);
  }
}

function readText(path: string): string {
  const bytes = readBytes(path);
  if (bytes.length > MAX_FILE) throw unusable(`expected a file of at most ${MAX_FILE} bytes, got ${bytes.length}`);
  const text = bytes.toString("utf8");
  if (text.includes("\0") || text.includes("\ufffd")) {
    throw unusable(
      "expected text, got binary data; turn DER into PEM (openssl pkey -pubin -inform DER -in FILE -pubout)",
    );
  }
  return text;
}

function readBytes(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code ?? "unknown error";
    throw unusable(`expected a file that can be read (${code})`, cause);
  }
}

function readSecret(text: string): VerificationKey {
  if (text.trim() === "") throw unusable("expected an HS256 secret, got blanks");
  if (/^\s*\{.*\}\s*$/s.test(text)) throw unusable("expected the path of a JWKS file, got text of JSON");
  if (isPublicKeyText(text)) {
    throw unusable("expected an HS256 secret, got a public key that is no PEM block; give it as PEM or in a JWKS file");
  }
  if (/[\r\n]/.test(text)) throw unusable("expected an HS256 secret on a single line");
  return secretKey(Buffer.from(text));
}
