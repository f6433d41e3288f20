/** Who is answered at the admin address, and who may ask for what is guarded. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Guard } from "../../../src/observability/admin/guard.js";

const TOKEN = "0123456789abcdef";
const LOCAL = "127.0.0.1:6780";

const refused = (listen: string, host: string | undefined) =>
  new Guard({ listen, token: "" }).checkHost(host === undefined ? {} : { host })?.status;

describe("Guard", () => {
  for (const listen of [LOCAL, "localhost:6780", "[::1]:6780", "127.8.9.1:1"]) {
    test(`listening on ${listen}, accepts the names of this machine with any port`, () => {
      const names = [
        "localhost",
        "localhost:1",
        "LOCALHOST:6780",
        "127.0.0.1:6780",
        "127.0.0.2",
        "[::1]:6780",
        undefined,
      ];
      for (const host of names) assert.equal(refused(listen, host), undefined, host);
    });

    test(`listening on ${listen}, other names that lead here are not: DNS rebinding`, () => {
      const names = [
        "evil.example",
        "evil.example:6780",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "evil@127.0.0.1",
        "127.0.0.1:x",
        "[::2]",
        "10.0.0.1:6780",
        "",
      ];
      for (const host of names) assert.equal(refused(listen, host), 421, host);
    });
  }

  test("on an address of the network every Host is served", () => {
    for (const listen of ["0.0.0.0:6780", "10.0.0.1:6780", "[::]:6780", "push.example:6780"]) {
      for (const host of ["push.example", "10.0.0.1:6780", "localhost"]) assert.equal(refused(listen, host), undefined);
    }
  });

  const stranger = (listen: string, token: string, headers: Record<string, string> = {}) =>
    new Guard({ listen, token }).authorize({ host: "localhost:6780", ...headers })?.status;

  test("without a token this machine may, and the network may not", () => {
    assert.equal(stranger(LOCAL, ""), undefined);
    for (const listen of ["0.0.0.0:6780", "[::]:6780", "push.example:6780"]) assert.equal(stranger(listen, ""), 403);
  });

  for (const listen of [LOCAL, "0.0.0.0:6780"]) {
    test(`listening on ${listen}, requires a configured token`, () => {
      assert.equal(stranger(listen, TOKEN, { authorization: `Bearer ${TOKEN}` }), undefined);
      assert.equal(stranger(listen, TOKEN, { authorization: `bearer  ${TOKEN} ` }), undefined);
      const wrong = [
        "",
        TOKEN,
        `Basic ${TOKEN}`,
        "Bearer",
        `Bearer ${TOKEN}x`,
        `Bearer ${TOKEN} x`,
        "Bearer 0",
        "Bearer ü",
      ];
      for (const authorization of wrong) assert.equal(stranger(listen, TOKEN, { authorization }), 401, authorization);
      assert.equal(stranger(listen, TOKEN), 401);
    });
  }

  test("rejects a missing token with a Bearer challenge", () => {
    const answer = new Guard({ listen: LOCAL, token: TOKEN }).authorize({});
    assert.deepEqual(answer?.headers, { "WWW-Authenticate": "Bearer" });
    assert.doesNotMatch(String(answer?.body), new RegExp(TOKEN));
  });

  test("what a browser sends for another site's page is refused, for one of another port too", () => {
    for (const site of ["cross-site", "same-site"]) assert.equal(stranger(LOCAL, "", { "sec-fetch-site": site }), 403);
    for (const origin of ["null", "http://evil.example", "http://localhost:6767", "https://localhost", "x"]) {
      assert.equal(stranger(LOCAL, "", { origin }), 403, origin);
    }
    assert.equal(stranger(LOCAL, TOKEN, { origin: "null", authorization: `Bearer ${TOKEN}` }), 403);
  });

  test("what it sends for our own page, and what people type, is not", () => {
    for (const site of ["same-origin", "none"])
      assert.equal(stranger(LOCAL, "", { "sec-fetch-site": site }), undefined);
    assert.equal(stranger(LOCAL, "", { origin: "http://localhost:6780", "sec-fetch-site": "same-origin" }), undefined);
  });
});
