import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { ProtocolError } from "../../src/errors.js";
import {
  decodeEvents,
  type EventFields,
  encodeComment,
  encodeEvent,
  encodeRetry,
  eventSize,
} from "../../src/protocol/sse.js";
import { anyText, event, streamText } from "../support/arbitraries.js";
import { EventStreamParser, type StreamEvent } from "../support/event-stream.js";

const refused = (error: unknown) => error instanceof ProtocolError && error.code === "invalid";

/** What arrives of an event: line ends in data become LF. */
function arriving({ data, ...rest }: EventFields): EventFields {
  return data === undefined ? rest : { ...rest, data: data.replace(/\r\n?/g, "\n") };
}

/** What a browser makes of a stream, by a parser that knows nothing of ours. */
function browser(...pieces: readonly Uint8Array[]): EventStreamParser {
  const parser = new EventStreamParser();
  for (const piece of pieces) parser.push(piece);
  return parser;
}

/** What a browser should dispatch for one event at the beginning of a stream. */
function dispatched({ data, type, id = "" }: EventFields): StreamEvent[] {
  return data === undefined ? [] : [{ type: type || "message", data: data.replace(/\r\n?/g, "\n"), id }];
}

describe("SSE", () => {
  test("an event has its fields in one order, and a blank line", () => {
    const whole = encodeEvent({ data: "a\nb", id: "7", retry: 100, type: "x" });
    assert.equal(whole.toString(), "event: x\nretry: 100\nid: 7\ndata: a\ndata: b\n\n");
    assert.equal(encodeEvent({ data: "" }).toString(), "data: \n\n");
    assert.equal(encodeEvent({ id: "e.1" }).toString(), "id: e.1\n\n");
    assert.equal(encodeEvent({ retry: 0 }).toString(), "retry: 0\n\n");
    assert.equal(encodeEvent({ retry: -0 }).toString(), "retry: 0\n\n");
  });

  test("what is encoded is decoded to the same event, and dispatched by a browser as that", () => {
    fc.assert(
      fc.property(event, (fields) => {
        const bytes = encodeEvent(fields);
        const expected = arriving(fields);
        assert.deepEqual(decodeEvents(bytes.toString()), Object.keys(expected).length > 0 ? [expected] : []);
        const { events, retry, lastEventId, comments } = browser(bytes);
        assert.deepEqual(events, dispatched(fields));
        assert.deepEqual([retry, lastEventId, comments], [fields.retry, fields.id ?? "", []]);
      }),
    );
  });

  test("events and comments one after the other stay what they are, however the stream is cut into pieces", () => {
    const items = fc.array(fc.oneof(event, streamText), { maxLength: 5 });
    fc.assert(
      fc.property(items, (all) => {
        const pieces = all.map((it) => (typeof it === "string" ? encodeComment(it) : encodeEvent(it)));
        const stream = Buffer.concat(pieces);
        const events = all.flatMap((it) =>
          typeof it === "string" || Object.keys(it).length === 0 ? [] : [arriving(it)],
        );
        assert.deepEqual(decodeEvents(stream.toString()), events);
        const bytewise = browser(...Array.from(stream, (byte) => Uint8Array.of(byte)));
        const data = events.flatMap((it) => (it.data === undefined ? [] : [it.data]));
        assert.deepEqual(
          bytewise.events.map((it) => it.data),
          data,
        );
        const comments = all.flatMap((it) => (typeof it === "string" ? it.split(/\r\n|\r|\n/) : []));
        assert.deepEqual(bytewise.comments, comments);
      }),
    );
  });

  test("every beginning of a stream decodes to a beginning of its events", () => {
    fc.assert(
      fc.property(fc.array(event, { maxLength: 4 }), fc.constantFrom("\n", "\r", "\r\n"), (all, lineEnd) => {
        const stream = Buffer.concat(all.map(encodeEvent)).toString().replaceAll("\n", lineEnd);
        const events = decodeEvents(stream);
        for (let cut = 0; cut <= stream.length; cut++) {
          const some = decodeEvents(stream.slice(0, cut));
          assert.deepEqual(some, events.slice(0, some.length));
        }
      }),
    );
  });

  test("any text is a stream, and decodes to the data that a browser dispatches", () => {
    const text = fc.oneof(
      streamText,
      anyText,
      fc.array(streamText).map((parts) => parts.join("\n\ndata: ")),
    );
    fc.assert(
      fc.property(text, (stream) => {
        const data = decodeEvents(stream).flatMap((it) => (it.data === undefined ? [] : [it.data]));
        assert.deepEqual(
          browser(Buffer.from(stream)).events.map((it) => it.data),
          data,
        );
      }),
      { numRuns: 300 },
    );
  });

  test("no field can be made inside of another", () => {
    const hostile = ["x\nid: 1", "x\rid: 1", "x\r\nid: 1", "\n\ndata: y", "\r", "\n"];
    for (const text of hostile) {
      assert.throws(() => encodeEvent({ id: text, data: "" }), refused);
      assert.throws(() => encodeEvent({ type: text, data: "" }), refused);
      const [only, ...more] = decodeEvents(encodeEvent({ data: text }).toString());
      assert.deepEqual([only, more], [{ data: text.replace(/\r\n?/g, "\n") }, []]);
      assert.deepEqual(decodeEvents(encodeComment(text).toString()), []);
    }
  });

  test("an id with NUL is refused: browsers would ignore it", () => {
    assert.throws(() => encodeEvent({ id: "a\0b" }), refused);
  });

  test("only whole numbers of milliseconds are a waiting time", () => {
    const wrong = [-1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, 1e21, 2 ** 53];
    for (const retry of wrong) assert.throws(() => encodeEvent({ retry }), refused, String(retry));
  });

  test("NUL, a byte order mark and spaces in data arrive, at its beginning too", () => {
    for (const data of [
      "\0",
      "\u{feff}",
      "\u{feff}x",
      " x",
      "  ",
      "\u{2028}",
      "\u{85}",
      "\v\f",
      ":",
      "\n ",
      "\n\u{feff}",
    ]) {
      assert.deepEqual(browser(encodeEvent({ data })).events, dispatched({ data }));
    }
  });

  test("line ends in data arrive as one LF each, the last one too", () => {
    assert.deepEqual(
      browser(encodeEvent({ data: "a\r\nb\rc\nd\r\n\r\r" })).events,
      dispatched({ data: "a\nb\nc\nd\n\n\n" }),
    );
  });

  test("half a surrogate pair becomes the replacement character", () => {
    assert.equal(encodeEvent({ data: "\u{d800}" }).toString(), "data: \u{fffd}\n\n");
  });

  test("the size of an event is known without making it", () => {
    fc.assert(fc.property(event, (fields) => eventSize(fields) === encodeEvent(fields).length));
    assert.throws(() => eventSize({ id: "\n" }), refused);
  });

  // A blank line ends a block, and @microsoft/fetch-event-source calls the page for each: JSON.parse("") then cut the stream.
  test("a comment and a waiting time are lines without a blank one, and nothing is added to them", () => {
    assert.equal(encodeComment(" time stream").toString(), ": time stream\n");
    assert.equal(encodeComment("").toString(), ":\n");
    assert.equal(encodeComment("a\r\nb\rc\n").toString(), ":a\n:b\n:c\n:\n");
    assert.equal(encodeRetry(250).toString(), "retry: 250\n");
    assert.throws(() => encodeRetry(0.5), refused);
  });

  test("decodes the examples of the standard", () => {
    const cases: [string, EventFields[]][] = [
      ["data: YHOO\ndata: +2\ndata: 10\n\n", [{ data: "YHOO\n+2\n10" }]],
      [
        ": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event\n\n",
        [{ data: "first event", id: "1" }, { data: "second event", id: "" }, { data: " third event" }],
      ],
      ["data\n\ndata\ndata\n\ndata:", [{ data: "" }, { data: "\n" }]],
      ["data:test\n\ndata: test\n\n", [{ data: "test" }, { data: "test" }]],
    ];
    for (const [stream, events] of cases) assert.deepEqual(decodeEvents(stream), events, stream);
  });

  test("what the standard ignores is ignored", () => {
    const cases: [string, EventFields[]][] = [
      ["", []],
      ["\n\n\n", []],
      ["data: x", []],
      ["data: x\n", []],
      ["\u{feff}data: x\n\n", [{ data: "x" }]],
      ["\u{feff}\u{feff}data: x\n\n", []],
      ["foo: x\nDATA: x\n data: x\n\n", []],
      ["id: a\0b\nretry: 5s\nretry: -1\nretry\nretry: \n\n", []],
      ["retry: 007\n\n", [{ retry: 7 }]],
      ["event: a\nevent: b\nid: 1\nid: 2\ndata\n\n", [{ type: "b", id: "2", data: "" }]],
      ["data: x\u{2028}y\u{85}z\n\n", [{ data: "x\u{2028}y\u{85}z" }]],
      ["__proto__: x\nconstructor: y\n\n", []],
    ];
    for (const [stream, events] of cases) assert.deepEqual(decodeEvents(stream), events, JSON.stringify(stream));
  });
});
