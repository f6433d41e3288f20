import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { EventStreamParser, type StreamEvent } from "../support/event-stream.js";

function parse(text: string): EventStreamParser {
  const parser = new EventStreamParser();
  parser.push(Buffer.from(text));
  return parser;
}

function events(text: string): readonly StreamEvent[] {
  return parse(text).events;
}

describe("Event stream of the test support", () => {
  test("parses the examples of the standard", () => {
    assert.deepEqual(events("data: YHOO\ndata: +2\ndata: 10\n\n"), [{ type: "message", data: "YHOO\n+2\n10", id: "" }]);
    const stream = ": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event\n\n";
    assert.deepEqual(events(stream), [
      { type: "message", data: "first event", id: "1" },
      { type: "message", data: "second event", id: "" },
      { type: "message", data: " third event", id: "" },
    ]);
    assert.deepEqual(
      events("data\n\ndata\ndata\n\ndata:").map(({ data }) => data),
      ["", "\n"],
    );
  });

  test("an id stays until the next one, and one with NUL is ignored", () => {
    const parser = parse("id: a\ndata: 1\n\ndata: 2\n\nid: b\0c\ndata: 3\n\n");
    assert.deepEqual(
      parser.events.map(({ id }) => id),
      ["a", "a", "a"],
    );
  });

  test("a block without data dispatches no event but moves the last event id", () => {
    const parser = parse("retry: 5000\nid: prime\n\n");
    assert.deepEqual(parser.events, []);
    assert.equal(parser.lastEventId, "prime");
    assert.equal(parser.retry, 5_000);
  });

  test("a block that never ends has moved nothing", () => {
    const parser = parse("id: 1\ndata: x\n");
    assert.deepEqual(parser.events, []);
    assert.equal(parser.lastEventId, "");
  });

  test("retry takes digits only", () => {
    assert.equal(parse("retry: 12x\n\n").retry, undefined);
    assert.equal(parse("retry:7\nretry: -1\n\n").retry, 7);
  });

  test("comments are kept apart, unknown fields and an event type without data are dropped", () => {
    const parser = parse(":\n: beat\nnonsense: 1\nevent: x\n\ndata: y\n\n");
    assert.deepEqual(parser.comments, ["", " beat"]);
    assert.deepEqual(parser.events, [{ type: "message", data: "y", id: "" }]);
  });

  test("a byte order mark at the start is no part of the first field", () => {
    assert.deepEqual(
      events("\ufeffdata: 1\n\n").map(({ data }) => data),
      ["1"],
    );
  });

  test("parses the same events with any line ends and any cut of the bytes", () => {
    for (const end of ["\n", "\r", "\r\n"]) {
      const lines = ["event: a", "id: 1", "data: päivää ☃", "data: 🎈", "", ": c", "", "data: z", "", ""];
      const bytes = Buffer.from(lines.join(end));
      for (let cut = 0; cut <= bytes.length; cut++) {
        const parser = new EventStreamParser();
        parser.push(bytes.subarray(0, cut));
        parser.push(bytes.subarray(cut));
        assert.deepEqual(parser.events, [
          { type: "a", data: "päivää ☃\n🎈", id: "1" },
          { type: "message", data: "z", id: "1" },
        ]);
        assert.deepEqual(parser.comments, [" c"]);
      }
    }
  });
});
