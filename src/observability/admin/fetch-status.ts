/** The client of /status. */
import { M2pushError } from "../../errors.js";
import type { Status } from "./status.js";

/** The daemon must answer within this time. */
const RESPONSE_TIMEOUT_MS = 3000;

/** "http://127.0.0.1:6780" for [admin] listen; the loopback address for an address that is bound on all interfaces. */
export function adminUrl(listen: string): string {
  return `http://${listen.replace(/^0\.0\.0\.0:/, "127.0.0.1:").replace(/^\[::\]:/, "[::1]:")}`;
}

/** Rejects with "unavailable" when there is no response, or one of another program. */
export async function fetchStatus(url: string): Promise<Status> {
  const body = await get(`${url}/status`);
  const status = body === undefined ? undefined : parsed(body);
  if (status) return status;
  const problem = body === undefined ? "m2push does not answer" : "what answers is not m2push";
  const fix = "is the daemon running, and is this its [admin] listen?";
  throw new M2pushError("unavailable", `${problem} at ${url}/status: ${fix}`);
}

/** The body of the response, whatever its status; undefined without a response. */
async function get(url: string): Promise<string | undefined> {
  try {
    const response = await fetch(url, { redirect: "manual", signal: AbortSignal.timeout(RESPONSE_TIMEOUT_MS) });
    return await response.text();
  } catch {
    return undefined;
  }
}

function parsed(text: string): Status | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null && "m2push" in value ? (value as Status) : undefined;
  } catch {
    return undefined;
  }
}
