/** Generates a key and a token for `m2push up` on a development machine. */
import { randomBytes } from "node:crypto";
import { existsSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { SignJWT } from "jose";
import { makePrivateFolder, PRIVATE_MODE } from "../../util/private-files.js";

export interface IssuedKey {
  /** A file with an HS256 secret. */
  readonly keyFile: string;
  /** A file with a token that grants everything (Mercure 0.x) and does not expire. */
  readonly tokenFile: string;
}

/** Writes both files into the folder; an existing key is kept. `issuer`: the `iss` of the token; "" = none. */
export async function issueKey(folder: string, issuer = ""): Promise<IssuedKey> {
  const keyFile = join(folder, "publisher.key");
  const tokenFile = join(folder, "publisher.jwt");
  makePrivateFolder(folder);
  if (!existsSync(keyFile)) replaceFile(keyFile, randomBytes(32).toString("base64url"));
  const secret = new TextEncoder().encode(readFileSync(keyFile, "utf8").trim());
  const token = new SignJWT({ mercure: { publish: ["*"], subscribe: ["*"] } }).setProtectedHeader({ alg: "HS256" });
  if (issuer !== "") token.setIssuer(issuer);
  replaceFile(tokenFile, await token.sign(secret));
  return { keyFile, tokenFile };
}

/** Atomic, and never through a symbolic link: a new file is renamed to `path`. */
function replaceFile(path: string, line: string): void {
  const fresh = `${path}.${randomBytes(8).toString("hex")}`;
  writeFileSync(fresh, `${line}\n`, { mode: PRIVATE_MODE, flag: "wx" });
  renameSync(fresh, path);
}
