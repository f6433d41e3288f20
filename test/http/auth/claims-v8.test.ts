import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { secretKey } from "../../../src/http/auth/verification-key.js";
import {
  AUTHORITY,
  access,
  type Claims,
  DETAIL_TYPE,
  detail,
  granted,
  NOW,
  refused,
  SECONDS,
  SECRET,
  sign,
  signAccess,
  signRaw,
  verifier,
  without,
} from "./tokens.js";

const verify = async (changes: Claims, header = {}) => verifier().verify(await signAccess(changes, header));
const withDetails = (...details: unknown[]) => verify({ authorization_details: details });

describe("Claims draft 08", () => {
  test("an access token without sub, client_id, iat and jti is good, as the official conformance token is", async () => {
    assert.deepEqual(granted(await verify({})), {
      dialect: "draft-08",
      publish: ["*"],
      subscribe: ["*"],
      payloads: [{ topics: ["*"], payload: undefined }],
      expiresAt: NOW + 3_600_000,
      keyFingerprints: [secretKey(SECRET).fingerprint],
      subject: undefined,
      issuer: "https://localhost",
      issuedAt: undefined,
      tokenIds: [],
    });
  });

  test("typ is at+jwt, with application/ before it or without, in any case", async () => {
    for (const typ of ["at+jwt", "AT+JWT", "application/at+jwt", "Application/At+Jwt"])
      granted(await verify({}, { typ }));
    for (const typ of ["JWT", "at+jwt ", "text/at+jwt", "application/application/at+jwt", "at+jwtx", "", 7, null]) {
      refused(
        await verifier().verify(signRaw(JSON.stringify({ alg: "HS256", typ }), JSON.stringify(access()))),
        /typ is/,
      );
    }
    refused(await verifier().verify(await sign(access())), /typ is undefined/);
  });

  test("a token with authorization_details is never read as one of 0.x", async () => {
    const claims = access({ mercure: { publish: ["*"] } });
    refused(await verifier().verify(await sign(claims, { typ: "JWT" })), /typ is/);
    refused(await verifier().verify(await sign({ mercure: {}, authorization_details: [] })), /typ is/);
  });

  test("an access token's mercure claim grants nothing", async () => {
    const claims = without(access({ mercure: { publish: ["*"], subscribe: ["*"] } }), "authorization_details");
    const grants = granted(await verifier().verify(await sign(claims, { typ: "at+jwt" })));
    assert.deepEqual([grants.dialect, grants.publish, grants.subscribe], ["draft-08", [], []]);
  });

  const REFUSED: [what: string, claims: Claims, why: RegExp][] = [
    ["no exp", without(access(), "exp"), /no exp/],
    ["an exp that is past", access({ exp: SECONDS - 1 }), /has expired/],
    ["an exp that is now", access({ exp: SECONDS }), /has expired/],
    ["an exp that is a text", access({ exp: `${SECONDS + 60}` }), /exp is not a number/],
    ["an nbf in the future", access({ nbf: SECONDS + 1 }), /not valid yet/],
    ["no iss", without(access(), "iss"), /iss is undefined/],
    [
      "an unknown iss, though by the right key",
      access({ iss: "https://stranger.example" }),
      /iss is "https:\/\/stranger/,
    ],
    ["an iss that only begins right", access({ iss: `${AUTHORITY.issuer}/` }), /iss is/],
    ["an iss that is a list", access({ iss: [AUTHORITY.issuer] }), /iss is object/],
    ["no aud", without(access(), "aud"), /aud is undefined/],
    ["another hub's aud", access({ aud: "https://other.example/.well-known/mercure" }), /aud does not contain/],
    ["an aud of others only", access({ aud: ["https://a.example", "https://b.example"] }), /aud does not contain/],
    ["an empty aud", access({ aud: [] }), /aud does not contain/],
    ["an aud with a number in it", access({ aud: [AUTHORITY.audiences[0], 1] }), /aud\[1\] is number/],
    ["an aud that is an object", access({ aud: { [`${AUTHORITY.audiences[0]}`]: true } }), /aud is object/],
  ];

  for (const [what, claims, why] of REFUSED) {
    test(`an access token with ${what} is refused`, async () => {
      refused(await verifier().verify(signRaw('{"alg":"HS256","typ":"at+jwt"}', JSON.stringify(claims))), why);
    });
  }

  test("aud may be a list that has this hub in it; nbf may be now", async () => {
    granted(await verify({ aud: ["https://other.example", AUTHORITY.audiences[0]], nbf: SECONDS }));
  });

  test("where access tokens are turned off every one is refused", async () => {
    refused(await verifier({ authority: undefined }).verify(await signAccess()), /are disabled/);
  });

  const MALFORMED: [what: string, details: unknown, why: RegExp][] = [
    ["details that are an object", detail(), /not a list/],
    ["details that are null", null, /null, not a list/],
    ["a detail that is a text", ["publish"], /not an object/],
    ["a detail that is null", [null], /contains null, not an object/],
    ["no actions", [without(detail(), "actions")], /actions is undefined/],
    ["actions that are a text", [detail({ actions: "publish" })], /actions is "publish"/],
    ["empty actions", [detail({ actions: [] })], /no actions/],
    ["an action that is a number", [detail({ actions: ["publish", 1] })], /actions\[1\] is number/],
    ["no topics", [without(detail(), "topics")], /no list of topics/],
    ["topics that are an object", [detail({ topics: { match: "*" } })], /no list of topics/],
    ["empty topics", [detail({ topics: [] })], /no list of topics/],
    ["a topic that is a text", [detail({ topics: ["*"] })], /topic 0 is "\*", not an object/],
    ["a topic without match", [detail({ topics: [{ match_type: "exact" }] })], /is undefined, not a string/],
    ["a match that is a list", [detail({ topics: [{ match: ["*"] }] })], /not a string/],
    ["a match_type that is not served", [detail({ topics: [{ match: "a", match_type: "regexp" }] })], /"regexp"/],
    [
      "a match_type that is not served, for *",
      [detail({ topics: [{ match: "*", match_type: "template" }] })],
      /"template"/,
    ],
    ["a match_type of another case", [detail({ topics: [{ match: "a", match_type: "Exact" }] })], /"Exact"/],
    ["a match_type that is null", [detail({ topics: [{ match: "a", match_type: null }] })], /is null/],
    [
      "a match_type called constructor",
      [detail({ topics: [{ match: "a", match_type: "constructor" }] })],
      /is "constructor"/,
    ],
    [
      "a pattern that the parser refuses",
      [detail({ topics: [{ match: "bad(", match_type: "urlpattern" }] })],
      /a bad selector/,
    ],
    ["a payload that is a text", [detail({ payload: "x" })], /payload of detail 0 is not an object/],
    ["a payload that is a list", [detail({ payload: [] })], /not an object/],
    ["a payload that is null", [detail({ payload: null })], /not an object/],
    ["a broken second detail", [detail(), detail({ topics: [] })], /detail 1/],
    [
      "a broken detail of an unknown action",
      [detail({ actions: ["dance"], topics: [{ match: "bad" }] })],
      /a bad selector/,
    ],
    ["101 details", Array(101).fill(detail()), /101 details/],
    ["101 topics in two details", [50, 51].map((n) => detail({ topics: Array(n).fill({ match: "a" }) })), /101 topics/],
  ];

  for (const [what, details, why] of MALFORMED) {
    test(`${what}: the whole token is refused`, async () => {
      refused(await verify({ authorization_details: details }), why);
    });
  }

  test("100 details with 100 topics in all are taken", async () => {
    assert.equal(granted(await withDetails(...Array(100).fill(detail()))).publish.length, 100);
  });

  test("with too many topics not one is parsed", async () => {
    let parsed = 0;
    const parser = () => (_kind: string, value: string) => `${value} ${++parsed}`;
    const token = await signAccess({ authorization_details: [detail({ topics: Array(101).fill({ match: "a" }) })] });
    refused(await verifier({ newParser: parser }).verify(token), /101 topics/);
    assert.equal(parsed, 0);
  });

  test("each detail grants its own actions on its own topics", async () => {
    const { publish, subscribe } = granted(
      await withDetails(
        detail({ actions: ["publish"], topics: [{ match: "p" }] }),
        detail({ actions: ["subscribe"], topics: [{ match: "/b/:id", match_type: "urlpattern" }, { match: "s" }] }),
        detail({ actions: ["publish", "subscribe"], topics: [{ match: "both", match_type: "exact" }] }),
      ),
    );
    assert.deepEqual(publish, ["exact p", "exact both"]);
    assert.deepEqual(subscribe, ["urlpattern /b/:id", "exact s", "exact both"]);
  });

  test("unknown actions grant nothing and do no harm", async () => {
    const { publish, subscribe } = granted(
      await withDetails(detail({ actions: ["dance", "Publish", "subscribe", ""] })),
    );
    assert.deepEqual([publish, subscribe], [[], ["*"]]);
  });

  test("details of other types are not looked at, whatever they hold", async () => {
    const foreign = [
      { type: "payment_initiation", actions: "all", topics: 7 },
      { type: DETAIL_TYPE.toUpperCase(), actions: ["publish"], topics: ["*"] },
      { type: `${DETAIL_TYPE}/`, topics: null },
      { type: 7 },
      {},
    ];
    const { publish } = granted(await withDetails(...Array(30).fill(foreign).flat(), detail()));
    assert.deepEqual(publish, ["*"]);
    assert.deepEqual(granted(await withDetails(...foreign)).publish, []);
  });

  test("a token without details is good and grants nothing", async () => {
    const token = await sign(without(access(), "authorization_details"), { typ: "at+jwt" });
    const { publish, subscribe, payloads } = granted(await verifier().verify(token));
    assert.deepEqual([publish, subscribe, payloads], [[], [], []]);
  });

  test("payloads come in the token's order, from details that subscribe, those without a payload included", async () => {
    const { payloads } = granted(
      await withDetails(
        detail({ actions: ["publish"], payload: { from: "a publisher" } }),
        detail({ topics: [{ match: "a" }, { match: "b" }], payload: { n: 1 } }),
        detail({ topics: [{ match: "c" }] }),
        detail({ payload: { default: true } }),
      ),
    );
    assert.deepEqual(payloads, [
      { topics: ["exact a", "exact b"], payload: { n: 1 } },
      { topics: ["exact c"], payload: undefined },
      { topics: ["*"], payload: { default: true } },
    ]);
  });
});
