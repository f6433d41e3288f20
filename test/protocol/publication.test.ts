import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { type M2pushError, ProtocolError } from "../../src/errors.js";
import { LIMITS } from "../../src/protocol/limits.js";
import { checkDraft, type Draft, parsePublication } from "../../src/protocol/publication.js";
import { encodeEvent } from "../../src/protocol/sse.js";
import { bytes, damaged, draft, toJsonEvent } from "../support/arbitraries.js";

const parse = (...parts: (string | Buffer)[]) => parsePublication(parts.map((part) => Buffer.from(part)));

/** The message of the refusal, which must have this code. */
function refusal(run: () => unknown, code: M2pushError["code"] = "invalid"): string {
  try {
    run();
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error;
    assert.equal(error.code, code, error.message);
    return error.message;
  }
  assert.fail("it was accepted");
}

const plain = (more: Partial<Draft> = {}): Draft => ({ topics: ["t"], data: "x", private: false, ...more });

/** A draft in each form that has room for all of it. */
function forms(draft: Draft): Buffer[][] {
  const { topics, data } = draft;
  const { topics: _topics, data: _data, private: isPrivate, ...rest } = toJsonEvent(draft);
  const options = { ...rest, ...(isPrivate === true && { private: true }) };
  const [topic] = topics;
  const whole = [Buffer.from(JSON.stringify({ topics, data, ...options }))];
  if (topics.length > 1) return [whole];
  const single = [Buffer.from(JSON.stringify({ topic, data, ...options }))];
  const parts = [Buffer.from(topic), Buffer.from(data), Buffer.from(JSON.stringify(options))];
  return [whole, single, parts, ...(Object.keys(options).length === 0 ? [parts.slice(0, 2)] : [])];
}

describe("Publication", () => {
  test("parses every form to the same publication", () => {
    fc.assert(
      fc.property(draft, (given) => {
        for (const parts of forms(given)) assert.deepEqual(parsePublication(parts), given);
      }),
    );
  });

  test('parses an EventSource block to the publication that it encodes, with the topic "message"', () => {
    fc.assert(
      fc.property(draft, ({ data, topics: _topics, private: _private, ttlMs: _ttl, final: _final, ...rest }) => {
        const event = encodeEvent({ ...rest, data });
        const expected = { ...rest, topics: ["message"], data: data.replace(/\r\n?/g, "\n"), private: false };
        assert.deepEqual(parsePublication([event]), expected);
      }),
    );
  });

  test("parses a damaged message to a value or throws a ProtocolError", () => {
    const anyDamaged = draft.chain((given) => {
      const [first = []] = forms(given);
      return fc.tuple(...first.map((part) => fc.oneof(fc.constant(part), damaged(part))));
    });
    const anyParts = fc.array(
      fc.oneof(
        bytes,
        fc.constantFrom("{}", "t", '{"topic":', "data: x").map((text) => Buffer.from(text)),
      ),
    );
    fc.assert(
      fc.property(fc.oneof(anyDamaged, anyParts), (parts) => {
        try {
          checkDraft(parsePublication(parts));
        } catch (error) {
          if (!(error instanceof ProtocolError)) throw error;
        }
      }),
      { numRuns: 500 },
    );
  });

  test("accepts the message of the classic tutorial unchanged", () => {
    const draft = parse("id: 1\r\ndata: Timestamp 2011-03-07 12:00:00\r\n\r\n");
    assert.deepEqual(draft, { topics: ["message"], id: "1", data: "Timestamp 2011-03-07 12:00:00", private: false });
  });

  test("an EventSource block needs no blank line, may have comments, and keeps its id, type and retry", () => {
    const expected = { topics: ["message"], id: "1", type: "tick", retry: 500, data: "a\nb", private: false };
    for (const end of ["", "\n", "\n\n", "\r\n\r\n", "\r", "\n\n\n\n"]) {
      assert.deepEqual(parse(`: hello\nid: 1\nevent: tick\nretry: 500\ndata: a\ndata: b${end}`), expected);
    }
  });

  test("rejects what is neither JSON nor one block with data", () => {
    assert.match(
      refusal(() => parse("")),
      /neither a JSON object nor an EventSource block/,
    );
    assert.match(
      refusal(() => parse("hello")),
      /neither/,
    );
    assert.match(
      refusal(() => parse("hello: world\n\n")),
      /neither/,
    );
    assert.match(
      refusal(() => parse('["topic"]')),
      /neither/,
    );
    assert.match(
      refusal(() => parse(": only a comment\n\n")),
      /neither/,
    );
    assert.match(
      refusal(() => parse("id: 1\nretry: 5\n\n")),
      /has no data/,
    );
    assert.match(
      refusal(() => parse("data: a\n\ndata: b\n\n")),
      /2 EventSource blocks/,
    );
  });

  test("accepts messages of one to three parts only", () => {
    assert.match(
      refusal(() => parsePublication([])),
      /1 to 3 parts, not 0/,
    );
    assert.match(
      refusal(() => parse("t", "x", "{}", "")),
      /1 to 3 parts, not 4/,
    );
    assert.deepEqual(parse("t", "x"), plain());
    assert.deepEqual(parse("t", "", "{}"), plain({ data: "" }));
  });

  test("treats an empty id or type as absent", () => {
    assert.deepEqual(parse("t", "x", '{"id":"","type":""}'), plain());
    assert.deepEqual(parse("id\nevent\ndata: x\n\n"), plain({ topics: ["message"] }));
  });

  test("rejects an unknown key, and lists the known ones", () => {
    const typo = refusal(() => parse('{"topic":"t","data":"x","prvate":true}'));
    assert.match(typo, /unknown key "prvate": known are topic, topics, data, id, type, retry, private/);
    assert.match(
      refusal(() => parse("t", "x", '{"data":"y"}')),
      /unknown key "data": known are id, type, retry, private/,
    );
    assert.match(
      refusal(() => parse("t", "x", '{"__proto__":{"private":true}}')),
      /unknown key "__proto__"/,
    );
    const long = refusal(() => parse("t", "x", JSON.stringify({ ["\n".repeat(5_000)]: 1 })));
    assert.ok(long.length < 300 && !long.includes("\n"), long);
  });

  test("rejects a value of the wrong type, and names its key", () => {
    const cases: [string, RegExp][] = [
      ["{", /broken JSON/],
      ['{"topic":"t","data":"x"} x', /broken JSON/],
      ['{"data":"x"}', /"topic" is missing/],
      ['{"topic":"t"}', /"data" is missing/],
      ['{"topic":7,"data":"x"}', /"topic" must be a string/],
      ['{"topic":["t"],"data":"x"}', /"topic" must be a string/],
      ['{"topics":"t","data":"x"}', /"topics" a list of strings/],
      ['{"topics":["t",7],"data":"x"}', /"topics" a list of strings/],
      ['{"topics":[],"data":"x"}', /"topics" is empty/],
      ['{"topic":"t","topics":["t"],"data":"x"}', /not both/],
      ['{"topic":"t","data":"x","id":7}', /"id" must be a string/],
      ['{"topic":"t","data":"x","type":7}', /"type" must be a string/],
      ['{"topic":"t","data":"x","retry":"7"}', /"retry" must be a number/],
      ['{"topic":"t","data":"x","private":"yes"}', /"private" must be true or false/],
      ['{"topic":"t","data":"x","private":null}', /"private" must be true or false/],
      ['{"topic":"t","data":"x","ttl":true}', /ttl must be a whole number of seconds, or a duration/],
      ['{"topic":"t","data":"x","ttl":"soon"}', /ttl must be a whole number of seconds, or a duration/],
      ['{"topic":"t","data":"x","final":1}', /"final" must be true or false/],
    ];
    for (const [json, message] of cases)
      assert.match(
        refusal(() => parse(json)),
        message,
        json,
      );
    for (const json of ["", "null", "[]", "7", '"x"'])
      assert.match(
        refusal(() => parse("t", "x", json)),
        /JSON/,
        json,
      );
  });

  test("rejects invalid UTF-8 in every part, and accepts the replacement character", () => {
    assert.deepEqual(parse("t\ufffd", "\ufffd"), plain({ topics: ["t\ufffd"], data: "\ufffd" }));
    const bad = Buffer.from([0x61, 0xff]);
    assert.match(
      refusal(() => parse(bad)),
      /message is not valid UTF-8/,
    );
    assert.match(
      refusal(() => parse(bad, "x")),
      /topic is not valid UTF-8/,
    );
    assert.match(
      refusal(() => parse("t", bad)),
      /data is not valid UTF-8/,
    );
    assert.match(
      refusal(() => parse("t", "x", bad)),
      /third part is not valid UTF-8/,
    );
    assert.match(
      refusal(() => parse('{"topic":"t","data":"\\ud800"}')),
      /surrogate/,
    );
  });

  test("rejects control and invisible characters in topics, ids and types, and names them", () => {
    const bad = [
      "\0",
      "\n",
      "\t",
      "\u{7f}",
      "\u{85}",
      "\u{ad}",
      "\u{200b}",
      "\u{202e}",
      "\u{feff}",
      "\u{e0001}",
      "\u{d800}",
    ];
    for (const character of bad) {
      const code = character.codePointAt(0)?.toString(16).toUpperCase().padStart(4, "0");
      const text = `a${character}b`;
      for (const wrong of [plain({ topics: ["ok", text] }), plain({ id: text }), plain({ type: text })]) {
        assert.ok(refusal(() => checkDraft(wrong)).includes(`U+${code}`), code);
      }
      if (code !== "D800") assert.doesNotThrow(() => checkDraft(plain({ data: text })), code);
    }
  });

  test("rejects reserved topics, ids and types", () => {
    assert.match(
      refusal(() => checkDraft(plain({ topics: ["*"] }))),
      /every topic/,
    );
    assert.match(
      refusal(() => checkDraft(plain({ topics: [""] }))),
      /topic is empty/,
    );
    assert.match(
      refusal(() => checkDraft({ ...plain(), topics: [] as unknown as [string] })),
      /no topic/,
    );
    assert.match(
      refusal(() => checkDraft(plain({ id: "" }))),
      /id is empty/,
    );
    assert.match(
      refusal(() => checkDraft(plain({ id: "#x" }))),
      /must not begin with "#"/,
    );
    assert.match(
      refusal(() => checkDraft(plain({ id: "earliest" }))),
      /reserved/,
    );
    for (const id of [" x", "x ", " "]) {
      assert.match(
        refusal(() => checkDraft(plain({ id }))),
        /begins or ends with a space, which no header can bring back/,
      );
    }
    assert.match(
      refusal(() => checkDraft(plain({ type: "" }))),
      /type is empty/,
    );
    assert.match(
      refusal(() => checkDraft(plain({ type: "mercure" }))),
      /reserved/,
    );
    assert.match(
      refusal(() => checkDraft(plain({ type: "m2push-gap" }))),
      /reserved/,
    );
    const fine = plain({ topics: ["**", "https://example.com/books/1", "café"], id: "a#b", type: "mercure2" });
    assert.doesNotThrow(() => checkDraft(fine));
  });

  test("retry is a whole number of milliseconds that a browser's timer can hold", () => {
    for (const retry of [-1, 1.5, Number.NaN, Number.POSITIVE_INFINITY]) {
      assert.match(
        refusal(() => checkDraft(plain({ retry }))),
        /whole number/,
      );
    }
    refusal(() => checkDraft(plain({ retry: 2_147_483_648 })), "too_large");
    assert.doesNotThrow(() => checkDraft(plain({ retry: 2_147_483_647 })));
    assert.match(
      refusal(() => parse(`retry: ${"9".repeat(400)}\ndata: x`)),
      /whole number/,
    );
  });

  test("ttl is longer than 0 and at most 3650 days", () => {
    for (const ttlMs of [0, -1, 1.5, Number.NaN]) {
      assert.match(
        refusal(() => checkDraft(plain({ ttlMs }))),
        /ttl must be longer than 0/,
      );
    }
    refusal(() => checkDraft(plain({ ttlMs: LIMITS.ttlMs + 1 })), "too_large");
    assert.doesNotThrow(() => checkDraft(plain({ ttlMs: LIMITS.ttlMs })));
  });

  test("treats final: false as absent", () => {
    assert.deepEqual(parse("t", "x", '{"final":false}'), plain());
    assert.deepEqual(parse("t", "x", '{"final":true,"ttl":"10m"}'), plain({ final: true, ttlMs: 600_000 }));
  });

  test("accepts an encoded event of the size limit, and rejects a larger one", () => {
    const fits = plain({ id: "1", data: "x".repeat(LIMITS.eventBytes - "id: 1\ndata: \n\n".length) });
    assert.equal(encodeEvent({ id: "1", data: fits.data }).length, LIMITS.eventBytes);
    assert.deepEqual(parse("t", fits.data, '{"id":"1"}'), fits);
    const over = { ...fits, data: `${fits.data}x` };
    assert.match(
      refusal(() => checkDraft(over), "too_large"),
      /100001 bytes, at most 100000/,
    );
  });

  test("counts the encoded bytes of lines and characters", () => {
    const lines = plain({ data: "\n".repeat(20_000) });
    assert.match(
      refusal(() => checkDraft(lines), "too_large"),
      /at most 100000/,
    );
    refusal(() => checkDraft(plain({ data: "é".repeat(50_000) })), "too_large");
  });

  test("reserves bytes for a generated id", () => {
    const data = "x".repeat(LIMITS.eventBytes - "data: \n\n".length);
    refusal(() => checkDraft(plain({ data })), "too_large");
    assert.doesNotThrow(() => checkDraft(plain({ data: data.slice("id: \n".length + LIMITS.madeIdBytes) })));
  });

  test("rejects a message above the size limit before it decodes it", () => {
    const over = (limit: number) => Buffer.alloc(limit + 1, 0xff);
    assert.match(
      refusal(() => parse("t", over(LIMITS.eventBytes)), "too_large"),
      /100001 bytes, at most 100000/,
    );
    assert.match(
      refusal(() => parse(over(LIMITS.messageBytes)), "too_large"),
      /1000001 bytes, at most 1000000/,
    );
    refusal(() => parse("t", "x", over(LIMITS.messageBytes)), "too_large");
  });

  test("limits the sizes of topics, ids and types", () => {
    const cases: [number, (text: string) => Draft][] = [
      [LIMITS.topicBytes, (text) => plain({ topics: [text] })],
      [LIMITS.idBytes, (id) => plain({ id })],
      [LIMITS.typeBytes, (type) => plain({ type })],
    ];
    for (const [limit, make] of cases) {
      assert.doesNotThrow(() => checkDraft(make("é".repeat(limit / 2))));
      assert.ok(refusal(() => checkDraft(make("é".repeat(limit / 2 + 1))), "too_large").includes(`at most ${limit}`));
    }
    const many = (count: number, text: string) => plain({ topics: [text, ...new Array(count - 1).fill(text)] });
    assert.doesNotThrow(() => checkDraft(many(1_000, "t")));
    assert.match(
      refusal(() => checkDraft(many(1_001, "t")), "too_large"),
      /1001 topics, at most 1000/,
    );
    assert.match(
      refusal(() => checkDraft(many(26, "t".repeat(4_000))), "too_large"),
      /all topics together/,
    );
  });

  test("accepts zero-width joiners in topics unless the dialect forbids them", () => {
    for (const topic of ["\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645", "\u{1f468}\u200d\u{1f469}"]) {
      assert.doesNotThrow(() => checkDraft(plain({ topics: [topic] })));
      assert.match(
        refusal(() => checkDraft(plain({ topics: [topic] }), { joiners: false })),
        /U\+200[CD]/,
      );
      assert.match(
        refusal(() => checkDraft(plain({ id: topic }))),
        /U\+200[CD]/,
      );
    }
  });
});
