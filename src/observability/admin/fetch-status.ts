/** The other end of /status: asks a running daemon. */
import { M2pushError } from "../../errors.js";
import type { Status } from "./status.js";

/** How long the daemon may take to answer, milliseconds. */
const PATIENCE = 3000;

/** "http://127.0.0.1:6780" for [admin] listen. What is bound on all interfaces is asked on this machine. */
export function adminUrl(listen: string): string {
  return `http://${listen.replace(/^0\.0\.0\.0:/, "127.0.0.1:").replace(/^\[::\]:/, "[::1]:")}`;
}

/** Rejects with "unavailable" when nobody answers, or somebody else does. */
export async function fetchStatus(url: string): Promise<Status> {
  const answer = await get(`${url}/status`);
  const status = answer === undefined ? undefined : parsed(answer);
  if (status) return status;
  const who = answer === undefined ? "m2push does not answer" : "what answers is not m2push";
  const mend = "is the daemon running, and is this its [admin] listen?";
  throw new M2pushError("unavailable", `${who} at ${url}/status: ${mend}`);
}

/** The body of the answer, whatever its status; undefined when there is none. */
async function get(url: string): Promise<string | undefined> {
  try {
    const response = await fetch(url, { redirect: "manual", signal: AbortSignal.timeout(PATIENCE) });
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
