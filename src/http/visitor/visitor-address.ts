/**
 * The address of the visitor behind trusted proxies. A client writes these headers too, so they are read only where the peer of Mongrel2 is
 * trusted, from the right, and only as far as each address is trusted: the first one that is not is the visitor.
 *
 * A proxy passes on the headers that it does not set itself, and the daemon cannot know which those are. So all headers that are there must
 * agree, and no order of precedence lets a client's header win over the proxy's (docs/decisions/0070-headers-that-name-visitors-must-agree.md).
 */
import type { HttpRequest } from "../../protocol/request.js";
import { AddressSet } from "../../util/address-set.js";
import { readForwarded } from "./forwarded.js";
import { canonicalAddress, readNodeAddress } from "./node-address.js";

/**
 * The address of a visitor whom the headers do not name, or name twice differently. It is no IP address: no [auth] allow_publish_from has it,
 * and all such visitors count as one.
 */
export const UNKNOWN_VISITOR = "unknown";

/** Proxies, one behind the other, that are followed. */
const MAX_HOP_COUNT = 16;
/** Mongrel2 keeps the first five lines of a header: the line that the proxy appended may be missing (mongrel2.md 1.1). */
const MAX_LINE_COUNT = 5;

interface VisitorHeader {
  readonly name: string;
  /** A header with this many lines is not believed. */
  readonly tooManyLines: number;
  /** The hops of one line, nearest last; undefined for a malformed line. */
  readonly read: (line: string) => readonly (string | undefined)[] | undefined;
}

/** Where all of them name trusted addresses only, the first one that is there counts. */
const HEADERS: readonly VisitorHeader[] = [
  { name: "forwarded", tooManyLines: MAX_LINE_COUNT, read: readForwarded },
  { name: "x-forwarded-for", tooManyLines: MAX_LINE_COUNT, read: (line) => words(line) },
  { name: "x-real-ip", tooManyLines: 2, read: (line) => [line.trim()] },
];

const words = (line: string): string[] => line.split(",").flatMap((it) => it.trim() || []);

export class VisitorAddress {
  readonly #trusted: AddressSet;

  /** `proxies`: addresses and networks, see isAddressRange(). */
  constructor(proxies: readonly string[]) {
    this.#trusted = new AddressSet(proxies);
  }

  /** The visitor's address in one spelling: the peer's own where the peer is not trusted or names nobody; else UNKNOWN_VISITOR. */
  of({ remote, headers }: Pick<HttpRequest, "remote" | "headers">): string {
    const peer = canonicalAddress(remote) ?? remote;
    if (!this.#trusted.has(peer)) return peer;
    const named = HEADERS.flatMap((header) => this.#follow(header, headers.get(header.name) ?? []) ?? []);
    const visitors = new Set(named.filter((address) => !this.#trusted.has(address)));
    const [visitor = named[0] ?? peer, ...others] = visitors;
    return others.length > 0 ? UNKNOWN_VISITOR : visitor;
  }

  /** The nearest address that is not trusted, else the farthest. Undefined: the header names nobody. */
  #follow({ tooManyLines, read }: VisitorHeader, lines: readonly string[]): string | undefined {
    if (lines.length >= tooManyLines) return UNKNOWN_VISITOR;
    let farthest: string | undefined;
    let hops = 0;
    for (const line of lines.toReversed()) {
      const nodes = read(line);
      if (nodes === undefined) return UNKNOWN_VISITOR;
      for (const node of nodes.toReversed()) {
        const address = node === undefined ? undefined : readNodeAddress(node);
        if (address === undefined || ++hops > MAX_HOP_COUNT) return UNKNOWN_VISITOR;
        if (!this.#trusted.has(address)) return address;
        farthest = address;
      }
    }
    return farthest;
  }
}
