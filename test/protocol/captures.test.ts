/** Every message captured from a real Mongrel2 is understood, and no damage to one makes the parser throw anything unexpected. */
import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { describe, test } from "node:test";
import fc from "fast-check";
import { type Inbound, parseRequest, RequestError } from "../../src/protocol/request.js";
import { damaged } from "../support/arbitraries.js";
import { CAPTURES, capture, expectation } from "./captures.js";

const NAMES = readdirSync(CAPTURES).flatMap((file) => (file.endsWith(".bin") ? [file.slice(0, -4)] : []));

/** The value, or the RequestError; any other throw fails the test. */
function attempt(message: Buffer): Inbound | RequestError {
  try {
    return parseRequest(message);
  } catch (error) {
    if (!(error instanceof RequestError)) throw error;
    return error;
  }
}

describe("Captures", () => {
  test("there are 117 captures", () => {
    assert.equal(NAMES.length, 117);
  });

  for (const name of NAMES) {
    test(`${name} is what its README says`, () => {
      assert.deepEqual(parseRequest(capture(name)), expectation(name));
    });
  }

  test("every beginning of every capture is an error, which knows the connection as soon as it was all there", () => {
    for (const name of NAMES) {
      const message = capture(name);
      const { sender, id } = expectation(name);
      const known = `${sender} ${id} `.length;
      for (const cut of cuts(message.length)) {
        const error = attempt(message.subarray(0, cut));
        assert.ok(error instanceof RequestError, `${name} cut at ${cut}`);
        assert.equal(error.id, cut < known ? undefined : id, `${name} cut at ${cut}`);
      }
    }
  });

  /** Every place, but of the long ones with a single letter in the middle, not every one of that. */
  function* cuts(length: number): Generator<number> {
    for (let cut = 0; cut < length; cut += cut > 400 && cut < length - 400 ? 97 : 1) yield cut;
  }

  test("every capture with something after it is an error", () => {
    for (const name of NAMES) {
      const error = attempt(Buffer.concat([capture(name), Buffer.from(",")]));
      assert.ok(error instanceof RequestError, name);
    }
  });

  test("parses a damaged capture to a value or throws a RequestError", () => {
    const anyDamaged = fc.constantFrom(...NAMES).chain((name) => damaged(capture(name)));
    fc.assert(
      fc.property(anyDamaged, (message) => void attempt(message)),
      { numRuns: 1_000 },
    );
  });

  test("a good request is still understood after all that", () => {
    assert.deepEqual(parseRequest(capture("json-get")), expectation("json-get"));
  });
});
