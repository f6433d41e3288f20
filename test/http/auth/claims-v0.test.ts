import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { secretKey } from "../../../src/http/auth/verification-key.js";
import { tokenIdsOf } from "../../../src/hub/token-id.js";
import { type Claims, granted, refused, SECONDS, SECRET, sign, signRaw, verifier } from "./tokens.js";

const verify = async (claims: Claims, header = {}) => verifier().verify(await sign(claims, header));

describe("Claims 0.x", () => {
  test("a mercure claim grants its lists, read as selectors of 0.x", async () => {
    const grants = granted(
      await verify({ mercure: { publish: ["*"], subscribe: ["a", "https://e.com/{id}"] }, sub: "me" }),
    );
    assert.deepEqual(grants, {
      dialect: "0.x",
      publish: ["*"],
      subscribe: ["template a", "template https://e.com/{id}"],
      payloads: [],
      expiresAt: undefined,
      keyFingerprints: [secretKey(SECRET).fingerprint],
      subject: "me",
      issuer: undefined,
      issuedAt: undefined,
      tokenIds: tokenIdsOf({ sub: "me" }),
    });
  });

  test("the claim may be named https://mercure.rocks/, and then wins", async () => {
    const namespaced = { "https://mercure.rocks/": { publish: ["new"] } };
    assert.deepEqual(granted(await verify(namespaced)).publish, ["template new"]);
    const both = granted(await verify({ ...namespaced, mercure: { publish: ["old"], subscribe: ["old"] } }));
    assert.deepEqual([both.publish, both.subscribe], [["template new"], []]);
    const none = await verify({ "https://mercure.rocks/": null, mercure: { publish: ["old"] } });
    assert.deepEqual(granted(none).publish, ["template old"], "null is no claim");
  });

  test("lists that are absent or null grant nothing", async () => {
    for (const mercure of [{}, { publish: null, subscribe: null }, { publish: [], subscribe: [] }]) {
      const { publish, subscribe, payloads } = granted(await verify({ mercure }));
      assert.deepEqual([publish, subscribe, payloads], [[], [], []]);
    }
  });

  test("a payload of any form counts for every subscription", async () => {
    for (const payload of [{ name: "x" }, "x", 0, false, ["x"]]) {
      const { payloads } = granted(await verify({ mercure: { payload } }));
      assert.deepEqual(payloads, [{ topics: ["*"], payload }]);
    }
    assert.deepEqual(granted(await verify({ mercure: { payload: null } })).payloads, []);
  });

  test("any typ will do, as long as it is not an access token's", async () => {
    for (const typ of ["JWT", "jwt", "whatever", 1]) granted(await verify({ mercure: {} }, { typ }));
    refused(await verify({ mercure: { publish: ["*"] } }, { typ: "at+jwt" }), /iss/);
  });

  test("iss and aud say nothing in 0.x", async () => {
    granted(await verify({ mercure: {}, iss: "https://stranger.example", aud: ["https://other.example"] }));
  });

  test("exp may be missing; one that is there counts, to the millisecond", async () => {
    assert.equal(granted(await verify({ mercure: {} })).expiresAt, undefined);
    assert.equal(granted(await verify({ mercure: {}, exp: SECONDS + 0.5 })).expiresAt, SECONDS * 1000 + 500);
    assert.equal(granted(await verify({ mercure: {}, exp: 1e300 })).expiresAt, 8.64e15, "what a Date can say");
    refused(await verify({ mercure: {}, exp: SECONDS }), /has expired/);
    refused(await verify({ mercure: {}, exp: SECONDS - 1 }), /has expired/);
  });

  test("nbf is respected where it is", async () => {
    granted(await verify({ mercure: {}, nbf: SECONDS }));
    refused(await verify({ mercure: {}, nbf: SECONDS + 1 }), /not valid yet/);
  });

  const MALFORMED: [what: string, claims: Claims, why: RegExp][] = [
    ["a claim that is a list", { mercure: ["*"] }, /mercure claim is object, not an object/],
    ["a claim that is a string", { mercure: "*" }, /not an object/],
    ["a claim that is null", { mercure: null }, /null, not an object/],
    ["a list that is a string", { mercure: { publish: "*" } }, /mercure\.publish is "\*"/],
    ["a list that is an object", { mercure: { subscribe: {} } }, /mercure\.subscribe is object/],
    ["a selector that is a number", { mercure: { publish: ["a", 1] } }, /publish\[1\] is number/],
    ["a selector that is an object", { mercure: { subscribe: [{ match: "a" }] } }, /subscribe\[0\] is object/],
    ["a selector that the parser refuses", { mercure: { publish: ["a", "bad"] } }, /publish\[1\]: a bad selector/],
    [
      "1,001 selectors",
      { mercure: { publish: Array(500).fill("a"), subscribe: Array(501).fill("a") } },
      /1001 selectors/,
    ],
    ["a payload without end", { mercure: { payload: nested(33) } }, /deeper than 32/],
    ["an exp that is a text", { mercure: {}, exp: "2030-01-01" }, /exp is not a number/],
    ["an iat that is a text", { mercure: {}, iat: "0" }, /iat is not a number/],
    ["an nbf that is a text", { mercure: {}, nbf: "0" }, /nbf is not a number/],
  ];

  for (const [what, claims, why] of MALFORMED) {
    test(`a token of 0.x with ${what} is refused`, async () => {
      const verified = await verifier().verify(signRaw('{"alg":"HS256"}', JSON.stringify(claims)));
      refused(verified, why);
    });
  }

  test("a payload of 32 levels is taken, and so are 1,000 selectors", async () => {
    granted(await verify({ mercure: { payload: nested(32), subscribe: Array(1000).fill("a") } }));
  });

  test("tokens of 0.x are refused when 0.x is turned off", async () => {
    const token = await sign({ mercure: { publish: ["*"] } });
    refused(await verifier({ acceptsV0: false }).verify(token), /disabled/);
  });
});

function nested(levels: number): unknown {
  return levels === 0 ? 0 : [nested(levels - 1)];
}
