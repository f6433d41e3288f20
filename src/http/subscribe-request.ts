/**
 * What a request asks to follow. After a restart of Mongrel2 all browsers come at once, and most ask for the same: what the last one
 * asked for is not read again for the next.
 */

import type { EqualIds } from "../delivery/history.js";
import { ProtocolError } from "../errors.js";
import type { CompileWork } from "../matching/compile-work.js";
import type { Interest } from "../matching/interest.js";
import { canonical, parseSelector } from "../matching/selector.js";
import { LIMITS } from "../protocol/limits.js";
import type { HttpRequest } from "../protocol/request.js";
import type { CompileQueue } from "./compile-queue.js";
import type { RequestedSelectors } from "./mercure/dialect.js";

/** In whatever dialect. */
export interface SubscribeRequest {
  readonly asked: readonly RequestedSelectors[];
  /** The last event id in the address; a header that is not empty wins. "" = there is one, and it is empty. */
  readonly cursor: string | undefined;
  /** Which of equal ids of publishers it names; absent = the oldest. */
  readonly equalIds?: EqualIds;
  /** The response header that says where a replay begins, when one was asked for; undefined = none is sent. */
  readonly cursorHeader?: string;
  /** Others may be told that it is subscribed. */
  readonly isPublic: boolean;
}

/** One that can be granted: what it asks for is well said. */
export interface ParsedSubscribeRequest extends SubscribeRequest {
  /** What it means for who has no token: the same object where the same is asked for one request after the other. */
  readonly interest: Interest;
}

export class SubscribeRequestParser {
  readonly #read: (request: HttpRequest) => SubscribeRequest;
  readonly #base: string;
  readonly #queue: CompileQueue;
  #last: { readonly query: string; readonly wish: ParsedSubscribeRequest } | undefined;

  /** `read` looks at the query and the body, nothing else; `base` is the hub's URL. */
  constructor(read: (request: HttpRequest) => SubscribeRequest, base: string, queue: CompileQueue) {
    this.#read = read;
    this.#base = base;
    this.#queue = queue;
  }

  /**
   * Throws a ProtocolError: the request is to be answered 400. A promise, which may reject with the same, where patterns must
   * wait for their turn to be compiled.
   */
  of(request: HttpRequest): ParsedSubscribeRequest | Promise<ParsedSubscribeRequest> {
    const isPlain = request.body.length === 0;
    if (isPlain && this.#last?.query === request.query) return this.#last.wish;
    const wish = this.#read(request);
    checkSize(wish.asked);
    const keep = (parsed: ParsedSubscribeRequest) => {
      if (isPlain) this.#last = { query: request.query, wish: parsed };
      return parsed;
    };
    if (!wish.asked.some(isPattern)) return keep(this.#parsed(wish));
    return this.#queue.compile((work) => keep(this.#parsed(wish, work)));
  }

  #parsed(wish: SubscribeRequest, work?: CompileWork): ParsedSubscribeRequest {
    const selectors = wish.asked.map(({ selects, value }) => parseSelector(selects, value, this.#base, work));
    return { ...wish, interest: { selectors: canonical(selectors), grants: [] } };
  }
}

/** Whether it may have to be compiled. */
function isPattern({ selects, value }: RequestedSelectors): boolean {
  return selects === "urlpattern" || (selects === "template" && value.includes("{"));
}

/** Throws "too_large". */
function checkSize(asked: readonly RequestedSelectors[]): void {
  const bytes = asked.reduce((sum, { value }) => sum + Buffer.byteLength(value), 0);
  if (bytes <= LIMITS.selectorsBytes) return;
  const most = LIMITS.selectorsBytes;
  throw new ProtocolError("too_large", `selectors of ${bytes} bytes together, at most ${most} are taken`);
}
