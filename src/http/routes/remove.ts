/**
 * DELETE of the hub's address, an extension of Mercure in both dialects: takes stored events back. The publisher needs a grant for every
 * topic of every event that is concerned; otherwise nothing is removed.
 */
import { M2pushError, ProtocolError } from "../../errors.js";
import { coversAll } from "../../matching/selector.js";
import type { RemovalTarget } from "../../protocol/removal.js";
import type { HttpRequest } from "../../protocol/request.js";
import type { Remover } from "../../publishing/remover.js";
import { parseTime } from "../../util/rfc3339.js";
import { isResponse, type Principal } from "../access.js";
import { errorResponse } from "../error-response.js";
import { type Form, parseForm } from "../form.js";
import { scopeOf } from "../publisher-scope.js";
import type { Response } from "../response.js";
import type { RouteMethod } from "../route-table.js";
import type { LiveSettings } from "../settings.js";

export interface RemoveDeps {
  readonly remover: Pick<Remover, "remove">;
  /** The hub's URL. */
  readonly base: string;
  readonly settings: LiveSettings;
  /** Called for each request that is rejected. */
  readonly rejected: (error: M2pushError) => void;
}

export class RemoveRoute {
  readonly #deps: RemoveDeps;

  constructor(deps: RemoveDeps) {
    this.#deps = deps;
  }

  readonly handle: RouteMethod = async (_, request) => {
    const response = await this.#remove(request).catch(errorResponse);
    const { status, code, reason = `rejected with ${status}` } = response;
    if (code) this.#deps.rejected(new M2pushError(code, reason));
    return status < 500 ? { ...response, persists: true } : response;
  };

  async #remove(request: HttpRequest): Promise<Response> {
    const { remover, settings } = this.#deps;
    const principal = await settings.current.access.publisher(request);
    if (isResponse(principal)) return principal;
    const target = readTarget(parseForm(request.query));
    const mayRemove = (topics: readonly string[]) => this.#grants(principal, topics);
    const removed = await remover.remove({ target, mayRemove, publisher: scopeOf(principal) });
    return { status: 200, headers: { "Content-Type": "application/json" }, body: `${JSON.stringify({ removed })}\n` };
  }

  #grants(principal: Principal, topics: readonly string[]): boolean {
    return principal === "anonymous" || coversAll(principal.publish, topics, this.#deps.base);
  }
}

const TARGETS = ["topic", "id", "before"];

/** Throws "invalid" unless the query names one target. */
function readTarget(form: Form): RemovalTarget {
  const [target, ...others] = form.filter(([name]) => TARGETS.includes(name));
  if (!target || others.length > 0 || target[1] === "") {
    throw new ProtocolError(
      "invalid",
      "a removal needs one parameter: topic, id or before; fix: send one request for each",
    );
  }
  const [name, value] = target;
  if (name === "topic") return { topic: value };
  return name === "id" ? { id: value } : { before: readTime(value) };
}

function readTime(text: string): number {
  const time = parseTime(text);
  if (time !== undefined) return time;
  throw new ProtocolError("invalid", 'before must be a time such as "2026-12-01T12:00:00Z" (RFC 3339)');
}
