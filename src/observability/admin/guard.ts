/**
 * Who may ask the admin address, and for what. Three ways in are closed:
 * - A page of another site that was given a name which leads to this machine (DNS rebinding) asks with its own name as Host:
 *   where we listen on this machine only, none but this machine's names are answered.
 * - A page of another site, or of another port, that makes the operator's browser send something (CSRF) is given away by
 *   Sec-Fetch-Site and Origin (Fetch Metadata; Fetch Standard, "Origin header"); what is not a browser sends neither.
 * - Somebody on the network: what names clients or changes anything needs the token, unless only this machine can ask.
 */
import { createHash, timingSafeEqual } from "node:crypto";
import type { IncomingHttpHeaders } from "node:http";
import { isIPv4 } from "node:net";
import { type AdminResponse, text } from "./admin-response.js";

export interface GuardOptions {
  /** [admin] listen: "host:port". */
  readonly listen: string;
  /** [admin] token; "" = none. */
  readonly token: string;
}

export class Guard {
  readonly #isLocal: boolean;
  /** Its digest: what is compared has one length, whatever was sent. */
  readonly #token: Buffer | undefined;

  constructor({ listen, token }: GuardOptions) {
    this.#isLocal = isLoopback(hostOf(listen));
    this.#token = token === "" ? undefined : digest(token);
  }

  /** Why nobody who asks like this is answered; undefined = they are. HTTP/1.0 knows no Host; every browser sends one. */
  refuse({ host }: IncomingHttpHeaders): AdminResponse | undefined {
    if (!this.#isLocal || host === undefined || isLoopback(hostOf(host))) return undefined;
    return text(421, "this address is asked by the names of this machine only: localhost, 127.0.0.1 or [::1]");
  }

  /** Why a guarded route is not for them; undefined = it is. */
  refuseStranger(headers: IncomingHttpHeaders): AdminResponse | undefined {
    if (isOtherSite(headers)) return text(403, "not for pages of other sites");
    if (this.#token) return this.#isKnown(headers) ? undefined : unknown();
    return this.#isLocal ? undefined : text(403, "set [admin] token: this is not for everybody on the network");
  }

  #isKnown({ authorization = "" }: IncomingHttpHeaders): boolean {
    const [, token] = /^bearer +([!-~]+) *$/i.exec(authorization) ?? [];
    return token !== undefined && this.#token !== undefined && timingSafeEqual(digest(token), this.#token);
  }
}

/** RFC 6750 section 3. */
const unknown = (): AdminResponse => ({ ...text(401, "a token is needed"), headers: { "WWW-Authenticate": "Bearer" } });

/** Another port of this machine is another site to us: Mongrel2 serves anybody's pages there. */
function isOtherSite(headers: IncomingHttpHeaders): boolean {
  const site = headers["sec-fetch-site"];
  if (site !== undefined && site !== "same-origin" && site !== "none") return true;
  const { origin, host } = headers;
  return origin !== undefined && !(URL.canParse(origin) && new URL(origin).host === host);
}

/** Of "host:port" or "host", as a URL has it: "[::1]" keeps its brackets. "" for what is neither. */
function hostOf(address: string): string {
  const [, host = ""] = /^(\[[0-9A-Fa-f:.]+\]|[^:@/?#\s]+)(?::[0-9]+)?$/.exec(address) ?? [];
  return host.toLowerCase();
}

const isLoopback = (host: string): boolean =>
  host === "localhost" || host === "[::1]" || (isIPv4(host) && host.startsWith("127."));

const digest = (secret: string): Buffer => createHash("sha256").update(secret).digest();
