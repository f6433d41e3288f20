import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { UNKNOWN_VISITOR as UNKNOWN, VisitorAddress } from "../../../src/http/visitor/visitor-address.js";

const PROXY = "10.0.0.1";
const OUTER = "192.0.2.8";
const VISITOR = "203.0.113.9";
const V6 = "2001:db8::7";
const visitors = new VisitorAddress([PROXY, OUTER, "fd00::/8"]);

type Headers = Readonly<Record<string, string | readonly string[]>>;

const find = (headers: Headers, remote = PROXY): string =>
  visitors.of({ remote, headers: new Map(Object.entries(headers).map(([name, value]) => [name, [value].flat()])) });

const xff = (...lines: string[]): Headers => ({ "x-forwarded-for": lines });
const forwarded = (...lines: string[]): Headers => ({ forwarded: lines });

/** What a proxy hands on, and who the visitor is. */
const HONEST: readonly (readonly [what: string, headers: Headers, visitor: string])[] = [
  ["X-Forwarded-For of one proxy", xff(VISITOR), VISITOR],
  ["X-Forwarded-For of two proxies", xff(`${VISITOR}, ${OUTER}`), VISITOR],
  ["X-Forwarded-For of two proxies in two lines", xff(VISITOR, OUTER), VISITOR],
  ["a port", xff(`${VISITOR}:4711`), VISITOR],
  ["an IPv6 address", xff(V6), V6],
  ["brackets", xff(`[${V6}]`), V6],
  ["brackets and a port", xff(`[${V6}]:4711`), V6],
  ["another spelling of an IPv6 address", xff("2001:DB8:0:0:0::0007"), V6],
  ["an IPv4-mapped IPv6 address", xff(`::ffff:${VISITOR}`), VISITOR],
  ["the same in hexadecimal", xff("::ffff:cb00:7109"), VISITOR],
  ["Forwarded", forwarded(`for=${VISITOR};proto=https;by=${PROXY}`), VISITOR],
  ["Forwarded with a quoted IPv6 address and a port", forwarded(`For="[${V6}]:4711"; host="a,b;c"`), V6],
  ["Forwarded that does not quote a port", forwarded(`for=${VISITOR}:80`), VISITOR],
  ["Forwarded of two proxies", forwarded(`for=${VISITOR}, for=${OUTER};proto=http`), VISITOR],
  ["Forwarded with empty elements", forwarded(` , for=${VISITOR};; ,`), VISITOR],
  ["X-Real-IP", { "x-real-ip": VISITOR }, VISITOR],
  ["all three", { ...xff(VISITOR), ...forwarded(`for=${VISITOR}`), "x-real-ip": VISITOR }, VISITOR],
  [
    "X-Real-IP of an inner proxy, which names the outer one",
    { ...xff(`${VISITOR}, ${OUTER}`), "x-real-ip": OUTER },
    VISITOR,
  ],
  ["X-Real-IP where Mongrel2 has replaced X-Forwarded-For", { ...xff(PROXY), "x-real-ip": VISITOR }, VISITOR],
  ["no header: the proxy itself asks", {}, PROXY],
  ["an empty header", xff(""), PROXY],
  ["a visitor within the trusted networks", xff("fd00::5"), "fd00::5"],
  ["trusted addresses in all headers: Forwarded counts", { ...forwarded('for="[fd00::5]"'), ...xff(OUTER) }, "fd00::5"],
];

const CLAIM = "10.9.8.7";
const five = (line: string): string[] => Array.from({ length: 5 }, () => line);

/** What a client at VISITOR sends, as the headers are when the proxy at PROXY has done its part: appended a value, added a line, or nothing. */
const SPOOFS: readonly (readonly [what: string, headers: Headers, remote?: string])[] = [
  ["X-Forwarded-For without a proxy", xff(CLAIM), VISITOR],
  ["Forwarded without a proxy", forwarded(`for=${CLAIM}`), VISITOR],
  ["X-Real-IP without a proxy", { "x-real-ip": CLAIM }, VISITOR],
  ["a value in front of the proxy's", xff(`${CLAIM}, ${VISITOR}`)],
  ["a line in front of the proxy's", xff(CLAIM, VISITOR)],
  ["the proxy's own address at the end of its value", xff(`${CLAIM}, ${PROXY}, ${VISITOR}`)],
  ["an element in front of the proxy's", forwarded(`for=${CLAIM}, for=${VISITOR}`)],
  ["a Forwarded beside the proxy's X-Forwarded-For", { ...forwarded(`for=${CLAIM}`), ...xff(VISITOR) }],
  ["an X-Forwarded-For beside the proxy's X-Real-IP", { ...xff(CLAIM), "x-real-ip": VISITOR }],
  ["an X-Real-IP beside the proxy's X-Forwarded-For", { "x-real-ip": CLAIM, ...xff(VISITOR) }],
  ["an X-Real-IP in front of a proxy that adds its line", { "x-real-ip": [CLAIM, VISITOR] }],
  ["five own lines of X-Forwarded-For: the proxy's sixth is lost", xff(...five(CLAIM))],
  ["five own lines of Forwarded", forwarded(...five(`for=${CLAIM}`))],
  ["five own lines of X-Real-IP", { "x-real-ip": five(CLAIM) }],
  ["five own lines, and an own X-Real-IP", { ...xff(...five(CLAIM)), "x-real-ip": CLAIM }],
  ["five lines, of which the last is a trusted address", xff(CLAIM, CLAIM, CLAIM, CLAIM, OUTER)],
  ["an open quote that swallows the proxy's element", forwarded(`for=${CLAIM};x=", for=${VISITOR}`)],
  ["an open quote that the proxy's own quote closes", forwarded(`for=${CLAIM};x=", for="[${V6}]"`)],
  ["two for in one element", forwarded(`for=${CLAIM};for=${VISITOR}`)],
  ["an obfuscated identifier", { ...forwarded("for=_hidden"), ...xff(VISITOR) }],
  ["unknown", { ...forwarded("for=unknown"), ...xff(VISITOR) }],
  ["an element without a for", { ...forwarded(`by=${CLAIM}`), ...xff(VISITOR) }],
  ["a host name", { ...forwarded("for=localhost"), ...xff(VISITOR) }],
  ["an address with a zone", { "x-real-ip": "fd00::1%lo", ...xff(VISITOR) }],
  ["octal digits", { "x-real-ip": "012.9.8.7", ...xff(VISITOR) }],
  ["trusted addresses beyond every number of proxies", xff(`${CLAIM}${`, ${OUTER}`.repeat(17)}`)],
  ["a list in X-Real-IP", { "x-real-ip": `${CLAIM}, ${VISITOR}` }],
];

describe("VisitorAddress", () => {
  for (const [what, headers, visitor] of HONEST) {
    test(`finds the visitor: ${what}`, () => assert.equal(find(headers), visitor));
  }

  for (const [what, headers, remote] of SPOOFS) {
    test(`does not believe a client: ${what}`, () => {
      const found = find(headers, remote);
      assert.ok([VISITOR, UNKNOWN].includes(found), found);
    });
  }

  test("reads no header of a peer that is not trusted, and spells its address as others", () => {
    assert.equal(find(xff(CLAIM), `::ffff:${VISITOR}`), VISITOR);
    assert.equal(find(xff(CLAIM), ""), "");
  });

  test("trusts an IPv4-mapped peer as the IPv4 address", () => {
    assert.equal(find(xff(VISITOR), `::ffff:${PROXY}`), VISITOR);
  });

  test("no text in front of the proxy's value makes another visitor than the proxy's", () => {
    const prefix = fc.oneof(fc.string(), fc.stringMatching(/^(?:for=|[",;\\ ]|10\.9\.8\.7|\[::1\]|unknown|x=)*$/));
    fc.assert(
      fc.property(prefix, (text) => {
        assert.ok([VISITOR, UNKNOWN].includes(find(xff(`${text}, ${VISITOR}`))));
        assert.ok([VISITOR, UNKNOWN].includes(find(forwarded(`${text}, for=${VISITOR};proto=https`))));
        assert.ok([V6, UNKNOWN].includes(find(forwarded(`${text}, for="[${V6}]:80";proto=https`))));
      }),
    );
  });
});
