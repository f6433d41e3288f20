/**
 * What a request asks to follow. After a restart of Mongrel2 all browsers come at once, and most ask for the same: what the last one
 * asked for is not read again for the next.
 */

import { ProtocolError } from "../errors.js";
import type { Interest } from "../hub/interest.js";
import { canonical, parseSelector } from "../hub/selector.js";
import { LIMITS } from "../protocol/limits.js";
import type { HttpRequest } from "../protocol/request.js";
import type { Asked } from "./mercure/dialect.js";

/** In whatever dialect. */
export interface Wish {
  readonly asked: readonly Asked[];
  /** The last event id in the address; a header that is not empty wins. "" = there is one, and it is empty. */
  readonly cursor: string | undefined;
  /** The response header that says where a replay begins, when one was asked for; undefined = none is sent. */
  readonly cursorHeader?: string;
  /** Others may be told that it is subscribed. */
  readonly isPublic: boolean;
}

/** One that can be granted: what it asks for is well said. */
export interface ParsedWish extends Wish {
  /** What it means for who has no token: the same object where the same is asked for one request after the other. */
  readonly interest: Interest;
}

export class Wishes {
  readonly #read: (request: HttpRequest) => Wish;
  readonly #base: string;
  #last: { readonly query: string; readonly wish: ParsedWish } | undefined;

  /** `read` looks at the query and the body, nothing else; `base` is the hub's URL. */
  constructor(read: (request: HttpRequest) => Wish, base: string) {
    this.#read = read;
    this.#base = base;
  }

  /** Throws a ProtocolError: the request is to be answered 400. */
  of(request: HttpRequest): ParsedWish {
    if (request.body.length > 0) return this.#parsed(request);
    if (this.#last?.query !== request.query) this.#last = { query: request.query, wish: this.#parsed(request) };
    return this.#last.wish;
  }

  #parsed(request: HttpRequest): ParsedWish {
    const wish = this.#read(request);
    checkSize(wish.asked);
    const selectors = wish.asked.map(({ selects, value }) => parseSelector(selects, value, this.#base));
    return { ...wish, interest: { selectors: canonical(selectors), grants: [] } };
  }
}

/** Throws "limit.exceeded". */
function checkSize(asked: readonly Asked[]): void {
  const bytes = asked.reduce((sum, { value }) => sum + Buffer.byteLength(value), 0);
  if (bytes <= LIMITS.selectorsBytes) return;
  const most = LIMITS.selectorsBytes;
  throw new ProtocolError("limit.exceeded", `selectors of ${bytes} bytes together, at most ${most} are taken`);
}
