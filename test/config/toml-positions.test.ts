import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { parse } from "smol-toml";
import { lineOf, tomlPositions } from "../../src/config/toml-positions.js";

describe("tomlPositions", () => {
  test("keys stand where they stand", () => {
    const text = [
      '# comment with [brackets] = and "quotes',
      "top = 1",
      "",
      "[stream]  # comment",
      '  retry = "5s" # [not.a.table]',
      "'quoted key' = 1",
      '"esc\\u0061ped" = 2',
      "dotted . key = 3",
      "[[mongrel2]]",
      "name = 'a'",
      "[[ mongrel2 ]]",
      "name = 'b'",
      "[mongrel2.sub]",
      "x = 1",
    ].join("\n");
    assert.deepEqual(Object.fromEntries(tomlPositions(text)), {
      top: 2,
      stream: 4,
      "stream.retry": 5,
      'stream."quoted key"': 6,
      "stream.escaped": 7,
      "stream.dotted.key": 8,
      mongrel2: 9,
      "mongrel2[0]": 9,
      "mongrel2[0].name": 10,
      "mongrel2[1]": 11,
      "mongrel2[1].name": 12,
      "mongrel2[1].sub": 13,
      "mongrel2[1].sub.x": 14,
    });
  });

  test("a value over many lines does not shift the positions after it", () => {
    const values = [
      '"""\nb = 1\n[t]\n\\""" x\n"""',
      "'''\nb = 1\n\\'''",
      '"""a""""',
      '"a # \\" ["',
      "'a \\'",
      '[ 1, # ]\n  [2, 3],\n  "]",\n]',
      "{ b = 1, c = [1, 2] }",
      "2026-11-23T10:00:00Z",
    ];
    for (const value of values) {
      const text = `first = ${value}\nlast = 1\n`;
      assert.equal(parse(text).last, 1, value);
      assert.equal(tomlPositions(text).get("last"), text.split("\n").indexOf("last = 1") + 1, value);
    }
  });

  test("lines that end in CR LF count once", () => {
    assert.equal(tomlPositions("a = 1\r\n\r\n[t]\r\nb = 2\r\n").get("t.b"), 4);
  });

  test("a key without a line of its own has the line of its table", () => {
    const lines = tomlPositions("\nmongrel2 = [\n  { name = 'a' },\n]\n[stream]\n");
    assert.equal(lineOf(lines, "mongrel2[0].name"), 2);
    assert.equal(lineOf(lines, "stream.retry"), 5);
    assert.equal(lineOf(lines, "beacon.topic"), undefined);
  });

  const key = fc.stringMatching(/^[a-z]{1,8}$/);
  const value = fc.constantFrom(
    "1",
    '"x # y"',
    "'''\n[no]\n'''",
    "[\n1, # [\n2]",
    '"""\n\\"""\n"""',
    "{ a = '}' }",
    "true  # [c]",
  );
  const filler = fc.constantFrom("", "# text = 1", "   ");
  const table = fc.record({
    name: key,
    fillers: fc.array(filler),
    keys: fc.uniqueArray(fc.tuple(key, value), { selector: ([name]) => name }),
  });

  test("in any document of tables, every key has the line that it was written on", () => {
    fc.assert(
      fc.property(fc.uniqueArray(table, { selector: ({ name }) => name }), (tables) => {
        const lines: string[] = [];
        const expected = new Map<string, number>();
        const write = (text: string) => lines.push(...text.split("\n"));
        for (const { name, fillers, keys } of tables) {
          for (const text of fillers) write(text);
          expected.set(name, lines.length + 1);
          write(`[${name}]`);
          for (const [inner, text] of keys) {
            expected.set(`${name}.${inner}`, lines.length + 1);
            write(`${inner} = ${text}`);
          }
        }
        assert.deepEqual(tomlPositions(lines.join("\n")), expected);
      }),
    );
  });

  test("any text is scanned to its end without an error, TOML or not", () => {
    const odd = fc.array(
      fc.constantFrom("[", "]", "=", '"', "'", '"""', "\\", "\n", "#", "{", "}", ".", "a", " ", "\r"),
    );
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          odd.map((parts) => parts.join("")),
        ),
        (text) => tomlPositions(text) instanceof Map,
      ),
    );
  });
});
