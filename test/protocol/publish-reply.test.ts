import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { M2pushError, ProtocolError, type ReplyCode } from "../../src/errors.js";
import { InvalidEvents } from "../../src/protocol/event-fault.js";
import { publishError } from "../../src/protocol/publish-error.js";
import { decodeReply, encodeError, encodeResults } from "../../src/protocol/publish-reply.js";

const json = (bytes: Buffer): unknown => JSON.parse(bytes.toString());

describe("publishError", () => {
  test("returns the publisher's own fault unchanged", () => {
    const error = new ProtocolError("key_reused", "the key was used");
    assert.deepEqual(publishError(error), { code: "key_reused", message: "the key was used" });
  });

  test("hides the cause of other errors, and states the fix", () => {
    for (const code of ["storage_failed", "unavailable"] as const) {
      const { message } = publishError(new M2pushError(code, "/data: disk full"));
      assert.doesNotMatch(message, /disk/);
      assert.match(message, /fix: repeat it/);
    }
  });

  test("describes no defect", () => {
    const defects = [
      new TypeError("x"),
      "x",
      ...(["internal", "config_invalid", "link_failed", "storage_unusable"] as const).map(
        (code) => new M2pushError(code, "x"),
      ),
    ];
    const [first, ...others] = defects.map(publishError);
    assert.equal(first?.code, "internal");
    for (const other of others) assert.deepEqual(other, first);
  });
});

describe("publish reply", () => {
  const failure = new M2pushError("unavailable", "x", { retryAfterMs: 1500 });

  test("has the id of an event, or the results of a batch, also of one event", () => {
    assert.deepEqual(json(encodeResults([{ id: "1" }], false)), { id: "1" });
    assert.deepEqual(json(encodeResults([{ id: "1" }], true)), { events: [{ id: "1" }] });
  });

  test("has the error of an event, or the first error of a batch and the result of each event", () => {
    const error = { ...publishError(failure), retry_after: 1.5 };
    assert.deepEqual(json(encodeResults([{ error: failure }], false)), { error });
    assert.deepEqual(json(encodeResults([{ id: "1" }, { error: failure }], true)), {
      error,
      events: [{ id: "1" }, { error }],
    });
  });

  test("has all faults of events that are not valid, and the time to wait after a temporary error", () => {
    const faults = [{ index: 3, member: "topic", code: "invalid", detail: "is missing" }] as const;
    assert.deepEqual(
      (json(encodeError(new InvalidEvents(faults))) as { error: { faults: unknown } }).error.faults,
      faults,
    );
    const { retry_after } = (
      json(encodeError(new M2pushError("storage_failed", "x"))) as { error: { retry_after: number } }
    ).error;
    assert.equal(retry_after, 1);
  });

  test("is read back as ids, or thrown with the code, message and delay of the error", () => {
    assert.deepEqual(decodeReply(encodeResults([{ id: "1" }], false)), ["1"]);
    assert.deepEqual(decodeReply(encodeResults([{ id: "1" }, { id: "2" }], true)), ["1", "2"]);
    const limited = new ProtocolError("rate_limited", "too many events", { retryAfterMs: 2500 });
    assert.throws(() => decodeReply(encodeError(limited)), {
      code: "rate_limited",
      message: "too many events",
      retryAfterMs: 2500,
    });
    assert.throws(() => decodeReply(encodeError(new ProtocolError("invalid", "x"))), { retryAfterMs: undefined });
  });

  test("rejects anything else that a socket may answer", () => {
    for (const text of ["", "{", "[]", "null", "7", "{}", '{"id":7}', '{"events":[{"id":"1"},{}]}', '{"events":[7]}'])
      assert.throws(() => decodeReply(Buffer.from(text)), { code: "invalid" satisfies ReplyCode }, text);
  });
});
