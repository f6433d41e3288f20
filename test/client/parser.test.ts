import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { eventParser } from "#client/parser.js";
import { decodeEvents } from "../../src/protocol/sse.js";

type Received = [type: string, data: string | undefined, id: string];

function parse(pieces: readonly string[]): { received: Received[]; retries: number[] } {
  const received: Received[] = [];
  const retries: number[] = [];
  const push = eventParser({
    received: (...event) => received.push(event),
    retry: (delayMs) => retries.push(delayMs),
  });
  for (const piece of pieces) push(piece);
  return { received, retries };
}

describe("Client parser", () => {
  test("reads types, data of several lines, ids that last, positions alone, and retry", () => {
    const text =
      ": time stream\nretry: 5000\nevent: m2push-open\nid: #e.0\ndata: {}\n\n" +
      "data: a\ndata:b\ndata\n\nid: #e.2\n\nevent: price\ndata\n\nevent: nothing\n\n:\n\nretry: 1x\nid: a\0b\n\ndata:  c";
    assert.deepEqual(parse([text, "\n\n"]), {
      received: [
        ["m2push-open", "{}", "#e.0"],
        ["message", "a\nb\n", "#e.0"],
        ["message", undefined, "#e.2"],
        ["price", "", "#e.2"],
        ["message", " c", "#e.2"],
      ],
      retries: [5000],
    });
  });

  test("any cut of any text gives what the daemon's own decoder reads (P2)", () => {
    const piece = fc.string({
      unit: fc.constantFrom("a", ":", " ", "\r", "\n", "\r\n", "\n\n", "data:", "id:", "event:", "€"),
    });
    fc.assert(
      fc.property(fc.array(piece), (pieces) => {
        const events = decodeEvents(pieces.join("")).filter(({ data }) => data !== undefined);
        const { received } = parse(pieces);
        const seen = received.filter(([, data]) => data !== undefined).map(([type, data]) => ({ type, data }));
        assert.deepEqual(
          seen,
          events.map(({ type, data }) => ({ type: type || "message", data })),
        );
        assert.deepEqual(parse([...pieces.join("")]), parse(pieces));
      }),
    );
  });
});
