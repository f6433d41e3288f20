/**
 * The keys of issuers in the data folder, as their URLs answered last: jwks-<hash of the URL>.json. A daemon that starts while an issuer
 * cannot be reached begins with them (docs/decisions/0106-keys-of-issuers-are-kept-on-disk.md).
 */
import { createHash } from "node:crypto";
import { readFileSync, renameSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { PRIVATE_MODE } from "../util/private-files.js";

interface StoredJwks {
  readonly url: string;
  /** The JWKS as it was sent. */
  readonly text: string;
  /** Milliseconds since 1970. */
  readonly readAt: number;
}

/** A JWKS has 1 MB at most (fetch-jwks.ts), which JSON can double. */
const MAX_FILE_BYTES = 3_000_000;

export class JwksFiles {
  readonly #folder: string;

  /** The data folder. */
  constructor(folder: string) {
    this.#folder = folder;
  }

  /** Undefined = nothing was written for this URL. Throws errors of the file system, and an Error for a damaged file. */
  read(url: string): StoredJwks | undefined {
    const path = this.#pathOf(url);
    const size = statSync(path, { throwIfNoEntry: false })?.size;
    if (size === undefined) return undefined;
    if (size > MAX_FILE_BYTES) throw new Error(`${path} has more than ${MAX_FILE_BYTES} bytes`);
    const stored = JSON.parse(readFileSync(path, "utf8")) as Partial<StoredJwks> | null;
    const isValid = stored?.url === url && typeof stored.text === "string" && typeof stored.readAt === "number";
    if (!isValid) throw new Error(`${path} is damaged`);
    return stored as StoredJwks;
  }

  /** Throws errors of the file system. After a crash the file is the former or the new one. */
  write(url: string, text: string, readAt: number): void {
    const path = this.#pathOf(url);
    const stored: StoredJwks = { url, text, readAt };
    writeFileSync(`${path}.new`, JSON.stringify(stored), { mode: PRIVATE_MODE, flush: true });
    renameSync(`${path}.new`, path);
  }

  #pathOf(url: string): string {
    return join(this.#folder, `jwks-${createHash("sha256").update(url).digest("hex").slice(0, 32)}.json`);
  }
}
