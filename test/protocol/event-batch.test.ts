import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { type M2pushError, ProtocolError } from "../../src/errors.js";
import { parseEventBody } from "../../src/protocol/event-body.js";
import { InvalidEvents } from "../../src/protocol/event-fault.js";
import { parsePublications } from "../../src/protocol/publication.js";
import { damaged, draft, toJsonEvent } from "../support/arbitraries.js";

const rules = { limits: { maxEvents: 5, maxBytes: 2_000 } };
const NDJSON = "application/x-ndjson";
const JSON_TYPE = "application/json";

function body(type: string, text: string | Buffer, more = {}) {
  const headers = new Map([["content-type", [type]]]);
  return parseEventBody({ headers, body: Buffer.from(text) }, { ...rules, ...more });
}

/** The error of a refusal. */
function refusal(run: () => unknown, code: M2pushError["code"] = "invalid"): ProtocolError {
  try {
    run();
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error;
    assert.equal(error.code, code, error.message);
    return error;
  }
  assert.fail("it was accepted");
}

function faults(run: () => unknown, code?: M2pushError["code"]) {
  const error = refusal(run, code);
  assert.ok(error instanceof InvalidEvents, error.message);
  return error.faults;
}

const event = (more = {}) => JSON.stringify({ topic: "t", data: "x", ...more });
const plain = (more = {}) => ({ topics: ["t"], data: "x", private: false, ...more });

describe("Event batch", () => {
  test("an array and JSON lines hold the events in their order, over HTTP and as one ZeroMQ message", () => {
    const wide = { limits: { maxEvents: 100, maxBytes: 1_000_000 } };
    fc.assert(
      fc.property(fc.array(draft, { minLength: 1, maxLength: 8 }), (drafts) => {
        const array = JSON.stringify(drafts.map(toJsonEvent));
        const lines = drafts.map((it) => JSON.stringify(toJsonEvent(it))).join("\n");
        assert.deepEqual(body(JSON_TYPE, ` \n${array}`, wide), { drafts, isBatch: true });
        assert.deepEqual(body(NDJSON, `\n${lines}\r\n \n`, wide), { drafts, isBatch: true });
        assert.deepEqual(parsePublications([Buffer.from(array)], wide), drafts);
        assert.deepEqual(parsePublications([Buffer.from(`\n${lines}\n\n`)], wide), drafts);
      }),
    );
  });

  test("parses a damaged message to drafts or throws a ProtocolError", () => {
    const message = fc.array(draft, { minLength: 1, maxLength: 4 }).chain((drafts) => {
      const array = Buffer.from(JSON.stringify(drafts));
      return fc.oneof(damaged(array), damaged(Buffer.from(drafts.map((it) => JSON.stringify(it)).join("\n"))));
    });
    fc.assert(
      fc.property(message, (bytes) => {
        for (const parse of [
          () => parsePublications([bytes], rules),
          () => body(JSON_TYPE, bytes),
          () => body(NDJSON, bytes),
        ]) {
          try {
            parse();
          } catch (error) {
            if (!(error instanceof ProtocolError)) throw error;
          }
        }
      }),
      { numRuns: 1_000 },
    );
  });

  test("passes JSON data on byte for byte, in every form", () => {
    const source = '{ "b":1.50,\n "a" : [1e400, 9007199254740993] }';
    const flat = source.replace("\n", "");
    assert.equal(body(JSON_TYPE, `{"topic":"t", "data": ${source} }`)?.drafts[0]?.data, source);
    assert.equal(body(JSON_TYPE, `[{"topic":"t","data":7},{"topic":"t","data":${source}}]`)?.drafts[1]?.data, source);
    assert.equal(body(NDJSON, `{"topic":"t","data":${flat}}`)?.drafts[0]?.data, flat);
    assert.equal(parsePublications([Buffer.from(`{"topic":"t","data":${source}}`)], rules)[0]?.data, source);
    for (const word of ["null", "false", "-0", "[]"]) {
      assert.equal(body(JSON_TYPE, `{"topic":"t","data":${word}}`)?.drafts[0]?.data, word);
    }
  });

  test("a single object of several lines is one event, over HTTP and ZeroMQ", () => {
    for (const message of [
      '{\n"topic": "t",\n"data": [\n{}\n]}',
      '{"topic": "t", "data": {}\n}',
      '{"data": {}\n, "topic": "t"}\n\n',
    ]) {
      assert.equal(parsePublications([Buffer.from(message)], rules).length, 1, message);
      assert.equal(body(JSON_TYPE, message)?.isBatch, false);
    }
  });

  test("every fault of every event is named, with its line or index, its member and its code", () => {
    const wrong = [
      event(),
      "{",
      '{"data":7,"retry":"x","ttl":"x","colour":1}',
      "7",
      event({ topic: "*", id: "#", ttl: 0, key: "" }),
    ];
    const expected = [
      [1, undefined, "broken JSON"],
      [
        2,
        undefined,
        'unknown key "colour": known are topic, topics, data, id, type, retry, private, ttl, final, key, traceparent',
      ],
      [2, "topic", '"topic" is missing'],
      [2, "retry", '"retry" must be a number'],
      [2, "ttl", 'ttl must be a whole number of seconds, or a duration such as "90s", "10m" or "24h"'],
      [3, undefined, "JSON must be an object"],
      [4, "topic", 'topic "*" stands for every topic: nothing can be published there'],
      [4, "id", 'id "#" must not begin with "#"'],
      [4, "ttl", "ttl must be longer than 0, in whole milliseconds, not 0 ms"],
      [4, "key", "key is empty"],
    ];
    const lines = faults(() => body(NDJSON, `\n${wrong.join("\n")}`));
    assert.deepEqual(
      lines.map(({ line, member, detail }) => [(line ?? 0) - 2, member, detail]),
      expected,
    );
    const array = faults(() => body(JSON_TYPE, `[${wrong.filter((it) => it !== "{").join(",")}]`));
    assert.deepEqual(
      array.map(({ index, member, detail }) => [(index ?? 0) === 0 ? 0 : (index ?? 0) + 1, member, detail]),
      expected.slice(1),
    );
    assert.ok(lines.every(({ code }) => code === "invalid"));
  });

  test("the message of a refusal is short, however many faults there are", () => {
    const { message } = refusal(() => body(NDJSON, "1\n2\n3\n4\n5"));
    const detail = "JSON must be an object";
    assert.equal(message, `line 1: ${detail}; line 2: ${detail}; line 3: ${detail}; and 2 more`);
  });

  test("a single event has the code of its first fault, an event of a batch is invalid", () => {
    const large = event({ data: "x".repeat(100_001) });
    const wide = { limits: { maxEvents: 1, maxBytes: 1_000_000 } };
    assert.equal(faults(() => body(JSON_TYPE, large), "too_large").length, 1);
    const [fault] = faults(() => body(NDJSON, large, wide), "invalid");
    assert.equal(fault?.code, "too_large");
  });

  test("a batch has at least one event, and no more and no larger than the limits", () => {
    for (const text of ["", "\n\n", " \r\n"]) assert.match(refusal(() => body(NDJSON, text)).message, /no event in it/);
    assert.match(refusal(() => body(JSON_TYPE, "[]")).message, /no event in it/);
    assert.equal(body(NDJSON, Array(5).fill(event()).join("\n"))?.drafts.length, 5);
    const six = Array(6).fill(event());
    for (const run of [() => body(NDJSON, six.join("\n")), () => body(JSON_TYPE, `[${six.join(",")}]`)]) {
      assert.match(refusal(run, "too_large").message, /^6 events, at most 5 are taken \(\[publish\] max_batch\)$/);
    }
    const large = `[${event({ data: "x".repeat(2_000) })}]`;
    for (const run of [
      () => body(JSON_TYPE, large),
      () => body(NDJSON, large),
      () => parsePublications([Buffer.from(large)], rules),
      () => parsePublications([Buffer.from(`${event()}\n`.repeat(200))], rules),
    ]) {
      assert.match(refusal(run, "too_large").message, /bytes, at most 2000 are taken \(\[publish\] max_batch_bytes\)$/);
    }
    const huge = Buffer.from(`${event()}\n`.repeat(60_000));
    assert.match(refusal(() => parsePublications([huge], rules), "too_large").message, /max_batch_bytes/);
  });

  test("a reserved topic is a fault like any other, with the code of the dialect", () => {
    const isReserved = (topic: string) => topic === "hub";
    const [fault] = faults(() => body(NDJSON, event({ topic: "hub" }), { isReserved, reservedTopicCode: "forbidden" }));
    assert.deepEqual(fault, { line: 1, member: "topic", code: "forbidden", detail: "a topic is reserved for the hub" });
  });

  test("other types are not supported; parameters and case do not matter", () => {
    for (const type of ["", "text/plain", "application/jsonx", "application/xml", "toString"]) {
      assert.equal(body(type, event()), undefined, type);
    }
    assert.deepEqual(body("Application/JSON ; charset=utf-8", event())?.drafts, [plain()]);
  });

  test("invalid UTF-8, and a body that is too large, are refused before they are parsed", () => {
    const bad = Buffer.from([0x7b, 0xff]);
    for (const type of [JSON_TYPE, NDJSON]) assert.match(refusal(() => body(type, bad)).message, /not valid UTF-8/);
    refusal(() => body(JSON_TYPE, Buffer.alloc(1_000_001, 0x20)), "too_large");
  });
});
