/**
 * URI templates (RFC 6570) as matchers, for the `topic` parameter and the claims of Mercure 0.x. The RFC says how a template
 * becomes a text, not which texts it matches; this file matches what the Mercure reference hub matches (uritemplate,
 * Template.Regexp), so that clients get the same from both:
 *
 * | expression          | matches                                                                                     |
 * | ------------------- | ------------------------------------------------------------------------------------------- |
 * | `{a}` `{a,b}`       | any number of unreserved characters, commas and `%hh`, none included; never a `/`           |
 * | `{+a}` `{+a,b}`     | the same, and reserved characters: `: / ? # [ ] @ ! $ & ' ( ) * + , ; =`                     |
 * | `{#a}`              | nothing, or `#` and what `{+a}` matches                                                     |
 * | `{.a}` `{.a,b}`     | nothing, or `.` and what `{a}` matches (a dot is unreserved: `.a.b` too)                    |
 * | `{/a}` `{/a,b}`     | nothing, or `/` and what `{a}` matches; with n names up to n such segments                  |
 * | `{;a}` `{;a,b}`     | nothing, or `;` and what `{a}` matches, `=` included; with n names up to n such pieces      |
 * | `{?a}` `{?a,b}`     | nothing, or `?` and what `{;a}` matches; with n names up to n such pieces, parted by `&`    |
 * | `{&a}` `{&a,b}`     | the same, beginning with `&`                                                                |
 *
 * Explode (`{/a*}`) allows any number of pieces, and `=` in each. The names in `{;a}` `{?a}` `{&a}` and prefix lengths
 * (`{a:3}`) are ignored. Literals match only themselves: neither side is percent-encoded or decoded.
 */
import { classOf, type PatternNode, repeat, sequence, textNode } from "./automaton.js";

const UNRESERVED = "A-Za-z0-9._~-";
const RESERVED = "!#$&'()*+,/:;=?@[\\]";

interface Operator {
  /** Before the first piece, and between pieces. */
  readonly first: string;
  readonly separator: string;
  /** Characters of a piece. */
  readonly allowed: RegExp;
  /** Characters of a piece that may consist of a name and a value. */
  readonly pair: RegExp;
}

const VALUE = new RegExp(`[,${UNRESERVED}]`);
const PAIR = new RegExp(`[,=${UNRESERVED}]`);
const PATH = new RegExp(`[${RESERVED}${UNRESERVED}]`);

const OPERATORS: Readonly<Record<string, Operator>> = {
  "": { first: "", separator: ",", allowed: VALUE, pair: PAIR },
  "+": { first: "", separator: ",", allowed: PATH, pair: PATH },
  "#": { first: "#", separator: ",", allowed: PATH, pair: PATH },
  ".": { first: ".", separator: ".", allowed: VALUE, pair: PAIR },
  "/": { first: "/", separator: "/", allowed: VALUE, pair: PAIR },
  ";": { first: ";", separator: ";", allowed: PAIR, pair: PAIR },
  "?": { first: "?", separator: "&", allowed: PAIR, pair: PAIR },
  "&": { first: "&", separator: "&", allowed: PAIR, pair: PAIR },
};

/** RFC 6570, 2.1: no controls, spaces, quotes, or `< > \ ^ ` { | }`; a percent sign only as `%hh`. */
const LITERAL = /^(?:[!#$&(-;=?-[\]_a-z~\u00A0-\u{10FFFD}]|%[0-9A-Fa-f]{2})*$/u;
/** RFC 6570, 2.2 and 2.3. */
const EXPRESSION = /^([+#./;?&]?)(.+)$/u;
const VARIABLE =
  /^(?:[A-Za-z0-9_]|%[0-9A-Fa-f]{2})(?:\.?(?:[A-Za-z0-9_]|%[0-9A-Fa-f]{2}))*(?:(\*)|:[1-9][0-9]{0,3})?$/u;

const HEX: PatternNode = { kind: "class", members: classOf((character) => /[0-9A-Fa-f]/.test(character)) };
const ENCODED = sequence(textNode("%"), HEX, HEX);
const UNBOUNDED = Number.POSITIVE_INFINITY;
/** Any number of characters that the expression permits, `%hh` included: runs of characters, separated by `%hh`. */
const PIECES = new Map(
  [VALUE, PAIR, PATH].map((allowed): [RegExp, PatternNode] => {
    const members = classOf((character) => allowed.test(character));
    const run = repeat({ kind: "class", members }, 0, UNBOUNDED);
    return [allowed, sequence(run, repeat(sequence(ENCODED, run), 0, UNBOUNDED))];
  }),
);

/** Undefined for a text that is no template: such a selector is an exact topic. */
export function parseTemplate(template: string): PatternNode | undefined {
  const nodes: PatternNode[] = [];
  for (const [i, piece] of template.split("{").entries()) {
    const [inside, after, ...more] = i === 0 ? ["", piece] : piece.split("}");
    const expression = i === 0 ? textNode("") : parseExpression(inside ?? "");
    if (!expression || after === undefined || more.length > 0 || !LITERAL.test(after)) return undefined;
    nodes.push(expression, textNode(after));
  }
  return sequence(...nodes);
}

function parseExpression(inside: string): PatternNode | undefined {
  const [, sign = "", list = ""] = EXPRESSION.exec(inside) ?? [];
  const operator = OPERATORS[sign];
  const variables = list.split(",").map((variable) => VARIABLE.exec(variable));
  if (!operator || variables.some((variable) => variable === null)) return undefined;
  const exploded = variables.map((variable) => variable?.[1] !== undefined);
  return pieces(operator, exploded);
}

/** `exploded` has one entry for each variable. */
function pieces({ first, separator, allowed, pair }: Operator, exploded: readonly boolean[]): PatternNode {
  const anyNumber = exploded.includes(true);
  const head = pieceOf(exploded[0] ? pair : allowed);
  const other = sequence(textNode(separator), pieceOf(anyNumber ? pair : allowed));
  const others = repeat(other, 0, anyNumber ? UNBOUNDED : exploded.length - 1);
  return repeat(sequence(textNode(first), head, others), 0, 1);
}

function pieceOf(allowed: RegExp): PatternNode {
  return PIECES.get(allowed) ?? textNode("");
}
