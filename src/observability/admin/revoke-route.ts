/** POST /revoke: makes a token invalid before its `exp`, and ends its streams. */
import { M2pushError } from "../../errors.js";
import type { Revocations } from "../../hub/revocations.js";
import { tokenId } from "../../hub/token-id.js";
import type { Clock } from "../../util/clock.js";
import { type AdminResponse, json, textResponse } from "./admin-response.js";

export interface RevokeDeps {
  readonly revocations: Pick<Revocations, "revoke">;
  readonly clock: Clock;
}

const MS_PER_SECOND = 1000;
/** A token is accepted up to [auth] leeway after its `exp`: at most as long. */
const MAX_LEEWAY_MS = 600 * MS_PER_SECOND;

/** One of ?jti= and ?sub=; ?iss= restricts it to one issuer; ?exp= (seconds since 1970) is the end of the last such token. */
export async function revoke({ revocations, clock }: RevokeDeps, query: URLSearchParams): Promise<AdminResponse> {
  const [jti, sub] = [query.get("jti") ?? "", query.get("sub") ?? ""];
  if ((jti === "") === (sub === "")) return textResponse(400, "one of ?jti=... and ?sub=... is required");
  const exp = query.get("exp") ?? "";
  if (!/^[0-9]{0,12}$/.test(exp)) return textResponse(400, "exp is a number of seconds since 1970");
  const id =
    jti === ""
      ? tokenId("sub", sub, query.get("iss") ?? undefined)
      : tokenId("jti", jti, query.get("iss") ?? undefined);
  try {
    const disconnected = await revocations.revoke({
      id,
      ...(jti === "" && { issuedUntil: clock.now() }),
      ...(exp !== "" && { keepUntil: Number(exp) * MS_PER_SECOND + MAX_LEEWAY_MS }),
    });
    return json({ revoked: 1, disconnected });
  } catch (error) {
    if (!(error instanceof M2pushError)) throw error;
    return textResponse(503, error.message);
  }
}
