/** Names of tokens by which they can be revoked. Short and of one length: each client with a token has some, in memory and in the record. */
import { createHash } from "node:crypto";

/** The claim that a revocation names: one token, or every token of a holder. */
export type TokenClaim = "jti" | "sub";

/** 12 bytes in base64url. */
const ID_CHARACTERS = 16;

/** `issuer`: the `iss` of the token; undefined = any. */
export function tokenId(claim: TokenClaim, value: string, issuer?: string): string {
  const text = JSON.stringify([claim, value, ...(issuer === undefined ? [] : [issuer])]);
  return createHash("sha256").update(text).digest("base64url").slice(0, ID_CHARACTERS);
}

/** Every id by which a token with these claims may be revoked. */
export function tokenIdsOf({ jti, sub, iss }: Readonly<Record<string, unknown>>): readonly string[] {
  return Object.entries({ jti, sub }).flatMap(([claim, value]) => {
    if (typeof value !== "string") return [];
    const issuers = typeof iss === "string" ? [undefined, iss] : [undefined];
    return issuers.map((issuer) => tokenId(claim as TokenClaim, value, issuer));
  });
}
