/**
 * Names under which the daemon may be asked. A page whose name was made to lead to this machine (DNS rebinding) asks with its own
 * name as Host; RFC 9110 section 15.5.20 has 421 for it. HTTP/1.0 knows no Host; every browser sends one.
 */
import { type HttpRequest, header } from "../protocol/request.js";
import type { Response } from "./response.js";

/** Undefined = the request may be answered. `hosts`: in lower case, without a port; empty = any. */
export function misdirectedResponse(request: HttpRequest, hosts: readonly string[]): Response | undefined {
  const host = header(request, "host");
  if (hosts.length === 0 || host === undefined || hosts.includes(hostnameOf(host))) return undefined;
  const body = "this host is not served here; fix: add it to [hub] hosts\n";
  return { status: 421, body, why: "a Host that [hub] hosts does not have" };
}

/** Of "host:port" or "host"; "[::1]" keeps its brackets. */
function hostnameOf(host: string): string {
  return host.trim().toLowerCase().replace(/:\d*$/, "").replace(/\.$/, "");
}
