/** Makes a key and a token for whoever starts with none: `m2push up` on one's own machine. */
import { randomBytes } from "node:crypto";
import { existsSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { SignJWT } from "jose";
import { makePrivateFolder, PRIVATE_MODE } from "../../util/private-files.js";

export interface IssuedKey {
  /** A file with an HS256 secret. */
  readonly keyFile: string;
  /** A file with a token that may publish and read everything (Mercure 0.x), without an end. */
  readonly tokenFile: string;
}

/** Makes both in the folder, once: a key that is there is kept. `issuer`: the token's iss; "" = none. */
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

/** In one step, and never through a link that somebody has put there: a new file takes the name. */
function replaceFile(path: string, line: string): void {
  const fresh = `${path}.${randomBytes(8).toString("hex")}`;
  writeFileSync(fresh, `${line}\n`, { mode: PRIVATE_MODE, flag: "wx" });
  renameSync(fresh, path);
}
