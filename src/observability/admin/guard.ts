/**
 * Authorization of requests to the admin address. It stops three attacks:
 * - DNS rebinding: a page whose name resolves to this machine sends that name as Host. On a loopback address only loopback names are
 *   served.
 * - Cross-site requests (CSRF): a page of another site or port makes the operator's browser send a request. Sec-Fetch-Site and Origin tell
 *   (Fetch Metadata; Fetch Standard, "Origin header"); only browsers send them.
 * - Requests from the network: routes that name clients or change anything need the token, unless the address is a loopback address.
 */
import { createHash, timingSafeEqual } from "node:crypto";
import type { IncomingHttpHeaders } from "node:http";
import { isIPv4 } from "node:net";
import { type AdminResponse, textResponse } from "./admin-response.js";

export interface GuardOptions {
  /** [admin] listen: "host:port". */
  readonly listen: string;
  /** [admin] token; "" = none. */
  readonly token: string;
}

export class Guard {
  readonly #isLocal: boolean;
  /** Its digest: both sides of the comparison have one length. */
  readonly #token: Buffer | undefined;

  constructor({ listen, token }: GuardOptions) {
    this.#isLocal = isLoopback(hostOf(listen));
    this.#token = token === "" ? undefined : digest(token);
  }

  /** The response to a request with a Host that is not served; undefined = it is. HTTP/1.0 has no Host; every browser sends one. */
  checkHost({ host }: IncomingHttpHeaders): AdminResponse | undefined {
    if (!this.#isLocal || host === undefined || isLoopback(hostOf(host))) return undefined;
    return textResponse(421, "Host must be a name of this machine: localhost, 127.0.0.1 or [::1]");
  }

  /** The response to a request that is not authorized for the guarded routes; undefined = it is. */
  authorize(headers: IncomingHttpHeaders): AdminResponse | undefined {
    if (isOtherSite(headers)) return textResponse(403, "requests of other sites are forbidden");
    if (this.#token) return this.#hasToken(headers) ? undefined : unauthenticated();
    return this.#isLocal
      ? undefined
      : textResponse(403, "forbidden without a token on an address of the network; fix: set [admin] token");
  }

  #hasToken({ authorization = "" }: IncomingHttpHeaders): boolean {
    const [, token] = /^bearer +([!-~]+) *$/i.exec(authorization) ?? [];
    return token !== undefined && this.#token !== undefined && timingSafeEqual(digest(token), this.#token);
  }
}

/** RFC 6750 section 3. */
const unauthenticated = (): AdminResponse => ({
  ...textResponse(401, "a bearer token is required"),
  headers: { "WWW-Authenticate": "Bearer" },
});

/** Another port of this machine counts as another site: Mongrel2 serves pages there. */
function isOtherSite(headers: IncomingHttpHeaders): boolean {
  const site = headers["sec-fetch-site"];
  if (site !== undefined && site !== "same-origin" && site !== "none") return true;
  const { origin, host } = headers;
  return origin !== undefined && !(URL.canParse(origin) && new URL(origin).host === host);
}

/** The host of "host:port" or "host", as a URL has it: "[::1]" keeps its brackets. "" for anything else. */
function hostOf(address: string): string {
  const [, host = ""] = /^(\[[0-9A-Fa-f:.]+\]|[^:@/?#\s]+)(?::[0-9]+)?$/.exec(address) ?? [];
  return host.toLowerCase();
}

const isLoopback = (host: string): boolean =>
  host === "localhost" || host === "[::1]" || (isIPv4(host) && host.startsWith("127."));

const digest = (secret: string): Buffer => createHash("sha256").update(secret).digest();
