import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { refuseCrossSite } from "../../../src/http/auth/cross-site.js";

const ALLOWED = ["https://app.example", "http://localhost:6767"];

const check = (given: { origin?: string; referer?: string }, allowed: readonly string[] = ALLOWED) =>
  refuseCrossSite({ headers: new Map(Object.entries(given).map(([name, value]) => [name, [value]])) }, allowed);

describe("Cross site", () => {
  test("a page of an allowed origin may", () => {
    for (const origin of ALLOWED) assert.equal(check({ origin }), undefined);
  });

  test("a page of another origin may not", () => {
    const others = [
      "https://evil.example",
      "http://app.example",
      "https://app.example:8443",
      "https://app.example.evil.example",
      "https://APP.example",
      "https://app.example/",
      "null",
      "*",
      "x",
    ];
    for (const origin of others) assert.equal(check({ origin })?.code, "invalid_request", origin);
  });

  test("without an Origin the Referer's origin counts", () => {
    for (const referer of ["https://app.example/page?x#y", "https://app.example", "https://APP.example:443/"]) {
      assert.equal(check({ referer }), undefined, referer);
      assert.equal(check({ origin: "", referer }), undefined, referer);
    }
    for (const referer of [
      "https://evil.example/?https://app.example",
      "https://app.example@evil.example/",
      "/page",
      "about:blank",
      "",
    ]) {
      assert.equal(check({ referer })?.code, "invalid_request", referer);
    }
  });

  test("a Referer does not make up for an Origin that is not allowed", () => {
    assert.equal(check({ origin: "https://evil.example", referer: "https://app.example/" })?.code, "invalid_request");
    assert.equal(check({ origin: "null", referer: "https://app.example/" })?.code, "invalid_request");
  });

  test("rejects a request with neither", () => {
    assert.equal(check({})?.code, "invalid_request");
  });

  test("allows no origin by '*' or 'null' in the list", () => {
    for (const origin of ["https://evil.example", "*", "null"]) {
      assert.equal(check({ origin }, ["*", "null"])?.code, "invalid_request", origin);
    }
    assert.equal(check({ referer: "about:blank" }, ["*", "null"])?.code, "invalid_request");
  });
});
