/**
 * Parser of one Forwarded header line (RFC 7239 section 4): elements between commas, of pairs between semicolons, whose values may be quoted
 * strings with commas and semicolons in them. Strict, from left to right: a client that opens a quote and leaves it open, so that it swallows
 * what the proxy appends, gets a line that is malformed as a whole.
 */

const TOKEN = "[!#$%&'*+.^_`|~0-9A-Za-z-]+";
/** Some proxies do not quote the colons and brackets of ports and IPv6 addresses. */
const UNQUOTED = "[!#$%&'*+.^_`|~0-9A-Za-z:[\\]-]+";
const QUOTED = '"((?:[^"\\\\]|\\\\.)*)"';
const PAIR = new RegExp(`[ \\t]*(${TOKEN})=(?:(${UNQUOTED})|${QUOTED})`, "y");
/** What stands between two pairs. Empty pairs and empty elements are allowed (RFC 7239 section 4, RFC 9110 section 5.6.1.2). */
const SEPARATORS = /[ \t]*(?:$|[;,][ \t;,]*)/y;

/** The `for` of each element, undefined for one without. Undefined for a malformed line. */
export function readForwarded(line: string): readonly (string | undefined)[] | undefined {
  const nodes: (string | undefined)[] = [];
  let node: string | undefined;
  for (let at = /^[ \t;,]*/.exec(line)?.[0].length ?? 0; at < line.length; ) {
    PAIR.lastIndex = at;
    const [, name = "", token, quoted] = PAIR.exec(line) ?? [];
    SEPARATORS.lastIndex = PAIR.lastIndex;
    const separators = name === "" ? undefined : SEPARATORS.exec(line)?.[0];
    if (separators === undefined) return undefined;
    if (name.toLowerCase() === "for") {
      if (node !== undefined) return undefined;
      node = token ?? quoted?.replace(/\\(.)/g, "$1");
    }
    at = SEPARATORS.lastIndex;
    if (at < line.length && !separators.includes(",")) continue;
    nodes.push(node);
    node = undefined;
  }
  return nodes;
}
