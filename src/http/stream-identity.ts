/** The name of a stream whose topics can be changed (`control=1`), and the principal that owns it. */
import { createHash, randomBytes } from "node:crypto";
import type { Principal } from "./access.js";

const NAME_BYTES = 16;
const NAME = /^[A-Za-z0-9_-]{22}$/;
/** Characters of a hash that are kept: 132 bits. */
const OWNER_CHARACTERS = 22;

/** 128 random bits, base64url. */
export const newStreamName = (): string => randomBytes(NAME_BYTES).toString("base64url");

export const isStreamName = (text: string): boolean => NAME.test(text);

/** Names issuer and subject of a token, without telling them; undefined = the principal has no token. */
export function ownerOf(principal: Principal): string | undefined {
  if (principal === "anonymous") return undefined;
  const { issuer, subject } = principal;
  const text = JSON.stringify([issuer ?? null, subject ?? null]);
  return createHash("sha256").update(text).digest("base64url").slice(0, OWNER_CHARACTERS);
}
