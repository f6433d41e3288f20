/** The claims of a token whose signature is not verified, for commands. */
import { decodeJwt } from "jose";
import { ProtocolError } from "../../errors.js";
import type { JsonObject } from "./claims.js";

/** Throws "invalid" for a text that is no JWT. */
export function readClaims(token: string): JsonObject {
  try {
    return { ...decodeJwt(token) };
  } catch (cause) {
    throw new ProtocolError("invalid", "not a JWT; fix: pass a token of three parts, or --jti or --sub", { cause });
  }
}
