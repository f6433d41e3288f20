/** Makes a key and a token for whoever starts with none: `m2push up` on one's own machine. */
import { randomBytes } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { SignJWT } from "jose";

export interface Issued {
  /** A file with an HS256 secret. */
  readonly keyFile: string;
  /** A file with a token that may publish and read everything (Mercure 0.x), without an end. */
  readonly tokenFile: string;
}

/** Only their owner may read them. */
const PRIVATE = { mode: 0o600 };

/** Makes both in the folder, once: a key that is there is kept. `issuer`: the token's iss; "" = none. */
export async function issueKey(folder: string, issuer = ""): Promise<Issued> {
  const keyFile = join(folder, "publisher.key");
  const tokenFile = join(folder, "publisher.jwt");
  mkdirSync(folder, { recursive: true });
  if (!existsSync(keyFile)) writeFileSync(keyFile, `${randomBytes(32).toString("base64url")}\n`, PRIVATE);
  const secret = new TextEncoder().encode(readFileSync(keyFile, "utf8").trim());
  const token = new SignJWT({ mercure: { publish: ["*"], subscribe: ["*"] } }).setProtectedHeader({ alg: "HS256" });
  if (issuer !== "") token.setIssuer(issuer);
  writeFileSync(tokenFile, `${await token.sign(secret)}\n`, PRIVATE);
  return { keyFile, tokenFile };
}
