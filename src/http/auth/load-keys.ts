/** Loads the keys of a setting: publisher_key, subscriber_key. The form of its value is decided by keyForm() (config/key-form.ts). */
import { readFileSync } from "node:fs";
import { keyForm } from "../../config/key-form.js";
import { M2pushError } from "../../errors.js";
import { readJwks } from "./jwks.js";
import { isPublicKeyText, readPem } from "./pem.js";
import { keyError, secretKey, type VerificationKey, weakness } from "./verification-key.js";

export interface KeySet {
  /** Empty if the setting is: then no token is valid. */
  readonly keys: readonly VerificationKey[];
  /** Warnings for the operator, each with the name of the setting; they never contain a key. */
  readonly warnings: readonly string[];
}

const MAX_FILE_BYTES = 1_000_000;

/**
 * Loads the keys of `material`, the value of the setting `name`: an HS256 secret, a PEM block, or the path of a file that contains a PEM
 * block, a JWKS, or one line with a secret. The file is read once, during the call. Throws "config_invalid", which states the fault and
 * the fix.
 */
export function loadKeys(name: string, material: string): KeySet {
  try {
    const { keys, ignored } = read(material);
    const warnings = [...ignored, ...keys.flatMap((key) => weakness(key) ?? [])];
    return { keys, warnings: warnings.map((warning) => `${name}: ${warning}`) };
  } catch (error) {
    if (!(error instanceof M2pushError)) throw error;
    throw new M2pushError(error.code, `${name}: ${error.message}`, { cause: error.cause });
  }
}

interface LoadedKeys {
  readonly keys: readonly VerificationKey[];
  readonly ignored: readonly string[];
}

const only = (key: VerificationKey): LoadedKeys => ({ keys: [key], ignored: [] });

function read(material: string): LoadedKeys {
  switch (keyForm(material)) {
    case "none":
      return { keys: [], ignored: [] };
    case "pem":
      return only(readPem(material));
    case "secret":
      return only(readSecret(material));
    case "file":
      return readFile(material);
  }
}

/** The content of the file decides its form. */
function readFile(path: string): LoadedKeys {
  try {
    const text = readText(path);
    if (text.trimStart().startsWith("{")) return readJwks(text);
    if (keyForm(text) === "pem") return only(readPem(text));
    return only(readSecret(text.replace(/\r?\n$/, "")));
  } catch (error) {
    if (!(error instanceof M2pushError)) throw error;
    throw keyError(`${path}: ${error.message}`, error.cause);
  }
}

function readText(path: string): string {
  const bytes = readBytes(path);
  if (bytes.length > MAX_FILE_BYTES)
    throw keyError(`expected a file of at most ${MAX_FILE_BYTES} bytes, got ${bytes.length}`);
  const text = bytes.toString("utf8");
  if (text.includes("\0") || text.includes("\ufffd")) {
    throw keyError(
      "expected text, got binary data; fix: convert DER into PEM (openssl pkey -pubin -inform DER -in FILE -pubout)",
    );
  }
  return text;
}

function readBytes(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code ?? "unknown error";
    throw keyError(`expected a readable file (${code})`, cause);
  }
}

function readSecret(text: string): VerificationKey {
  if (text.trim() === "") throw keyError("expected an HS256 secret, got white space");
  if (/^\s*\{.*\}\s*$/s.test(text)) throw keyError("expected the path of a JWKS file, got JSON");
  if (isPublicKeyText(text)) {
    throw keyError(
      "expected an HS256 secret, got a public key that is not a PEM block; fix: give it as PEM or in a JWKS file",
    );
  }
  if (/[\r\n]/.test(text)) throw keyError("expected an HS256 secret on a single line");
  return secretKey(Buffer.from(text));
}
