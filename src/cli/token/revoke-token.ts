/** `m2push token revoke`: asks the running daemon, at its admin address. */
import { M2pushError } from "../../errors.js";
import { readClaims } from "../../http/auth/read-claims.js";
import { adminUrl } from "../../observability/admin/fetch-status.js";
import type { TokenContext } from "./load-issuers.js";

export interface RevokeOptions {
  /** A token, of which `jti`, `iss` and `exp` count. */
  readonly token?: string;
  readonly jti?: string;
  readonly sub?: string;
  readonly iss?: string;
}

const RESPONSE_TIMEOUT_MS = 30_000;

/** Resolves with a line for the operator. */
export async function revokeToken(options: RevokeOptions, { config }: TokenContext): Promise<string> {
  const { listen, token: adminToken } = config.admin;
  if (listen === "") throw new M2pushError("unavailable", '[admin] listen is ""; fix: set it, and restart the daemon');
  const url = `${adminUrl(listen)}/revoke?${query(options)}`;
  const headers = adminToken === "" ? {} : { Authorization: `Bearer ${adminToken}` };
  const response = await fetch(url, {
    method: "POST",
    headers,
    signal: AbortSignal.timeout(RESPONSE_TIMEOUT_MS),
  }).catch((cause: unknown) => {
    const text = `m2push does not answer at ${adminUrl(listen)}; fix: is the daemon running, and is this its [admin] listen?`;
    throw new M2pushError("unavailable", text, { cause });
  });
  const body = await response.text();
  if (response.status !== 200) throw new M2pushError("unavailable", `${response.status}: ${body.trim()}`);
  const { disconnected } = JSON.parse(body) as { disconnected: number };
  return `revoked; ${disconnected} stream${disconnected === 1 ? "" : "s"} ended on this daemon`;
}

function query({ token, ...given }: RevokeOptions): URLSearchParams {
  const claims = token === undefined ? given : { ...ofToken(token), ...given };
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries(claims)) if (value !== undefined) parameters.set(name, String(value));
  return parameters;
}

/** Its signature is not verified: an operator may revoke any token. */
function ofToken(token: string): Readonly<Record<string, unknown>> {
  const { jti, iss, exp } = readClaims(token);
  if (typeof jti !== "string")
    throw new M2pushError("invalid", "the token has no jti; fix: revoke its holder with --sub, or change the key");
  return {
    jti,
    ...(typeof iss === "string" && { iss }),
    ...(typeof exp === "number" && { exp: Math.ceil(exp) }),
  };
}
