/** The header traceparent of W3C Trace Context, as text and as a member of an event. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { parsePublication } from "../../src/protocol/publication.js";
import { parseTraceparent, readTraceparent } from "../../src/protocol/traceparent.js";

const TRACE = "4bf92f3577b34da6a3ce929d0e0e4736";
const SPAN = "00f067aa0ba902b7";
const VALID = `00-${TRACE}-${SPAN}-01`;

describe("Traceparent", () => {
  test("is read with its flag; later versions may have more members", () => {
    const context = { traceId: TRACE, spanId: SPAN };
    assert.deepEqual(parseTraceparent(VALID), { ...context, isSampled: true });
    assert.deepEqual(parseTraceparent(`00-${TRACE}-${SPAN}-02`), { ...context, isSampled: false });
    assert.deepEqual(parseTraceparent(`cc-${TRACE}-${SPAN}-03-more`), { ...context, isSampled: true });
  });

  test("is ignored when it is not valid", () => {
    const texts = [
      ...["", "x", `ff-${TRACE}-${SPAN}-01`, `${VALID}-more`, `${VALID} `, ` ${VALID}`, VALID.toUpperCase()],
      ...[`00-${"0".repeat(32)}-${SPAN}-01`, `00-${TRACE}-${"0".repeat(16)}-01`, `00-${TRACE}-${SPAN}-1`],
    ];
    for (const text of texts) assert.equal(parseTraceparent(text), undefined, text);
  });

  test("is a member of JSON events and of the options of ZeroMQ messages, in the form of version 00", () => {
    const event = (traceparent: unknown) =>
      parsePublication([Buffer.from(JSON.stringify({ topic: "a", data: "x", traceparent }))]);
    assert.equal(event(VALID).traceparent, VALID);
    assert.equal(event(`cc-${TRACE}-${SPAN}-01-${"x".repeat(100_000)}`).traceparent, VALID);
    assert.deepEqual(event("unreadable"), { topics: ["a"], data: "x", private: false });
    const options = Buffer.from(JSON.stringify({ traceparent: VALID }));
    assert.equal(parsePublication([Buffer.from("a"), Buffer.from("x"), options]).traceparent, VALID);
    assert.throws(() => event(7), /"traceparent" must be a string/);
    assert.equal(readTraceparent(undefined), undefined);
  });
});
