import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { describe, test } from "node:test";
import fc from "fast-check";
import { exportJWK, UnsecuredJWT } from "jose";
import { publicKey, secretKey } from "../../../src/http/auth/verification-key.js";
import { anyCharacter } from "../../support/arbitraries.js";
import { FakeClock } from "../../support/clock.js";
import {
  access,
  DETAIL_TYPE,
  EC,
  ED,
  granted,
  KEYS,
  NOW,
  parse,
  RSA,
  refused,
  SECONDS,
  SECRET,
  sign,
  signAccess,
  signRaw,
  verifier,
} from "./tokens.js";

const MERCURE = { mercure: { publish: ["*"] } };

describe("Verifier", () => {
  test("each key verifies tokens of its own algorithm", async () => {
    const all = Object.values(KEYS);
    granted(await verifier({ keys: all }).verify(await sign(MERCURE)));
    granted(await verifier({ keys: all }).verify(await sign(MERCURE, { alg: "RS256" }, RSA.privateKey)));
    granted(await verifier({ keys: all }).verify(await sign(MERCURE, { alg: "ES256" }, EC.privateKey)));
    granted(await verifier({ keys: all }).verify(await signAccess({}, { alg: "EdDSA" }, ED.privateKey)));
  });

  test("algorithms that are not on the list are refused, though the key could verify them", async () => {
    const all = { keys: Object.values(KEYS) };
    for (const alg of ["HS384", "HS512"])
      refused(await verifier(all).verify(await sign(MERCURE, { alg }, Buffer.alloc(64))), /alg/);
    for (const alg of ["RS384", "RS512", "PS256"]) {
      refused(
        await verifier(all).verify(await sign(MERCURE, { alg }, RSA.privateKey)),
        /no key is configured for the alg/,
      );
    }
  });

  test("alg none is refused in every spelling", async () => {
    refused(await verifier().verify(new UnsecuredJWT(access()).encode()), /not a signed JWT/);
    for (const alg of ["none", "None", "NONE", "", null, undefined, 0, ["HS256"], { alg: "HS256" }]) {
      refused(
        await verifier().verify(signRaw(JSON.stringify({ alg, typ: "at+jwt" }), JSON.stringify(access()))),
        /alg/,
      );
    }
  });

  test("a public key is no HMAC secret, in whatever form the forger writes it", async () => {
    const { publicKey: rsa } = RSA;
    const forms = [
      rsa.export({ type: "spki", format: "pem" }),
      rsa.export({ type: "spki", format: "der" }),
      rsa.export({ type: "pkcs1", format: "pem" }),
      JSON.stringify(rsa.export({ format: "jwk" })),
    ];
    for (const form of forms) {
      const forged = signRaw('{"alg":"HS256","typ":"at+jwt"}', JSON.stringify(access()), Buffer.from(form));
      refused(await verifier({ keys: [KEYS.rsa] }).verify(forged), /no key is configured for the alg "HS256"/);
      refused(await verifier({ keys: [KEYS.rsa, KEYS.hs] }).verify(forged), /signature/);
    }
  });

  test("rejects an HMAC of the secret under a header with RS256", async () => {
    const forged = signRaw('{"alg":"RS256"}', JSON.stringify(MERCURE));
    refused(await verifier({ keys: [KEYS.hs] }).verify(forged), /alg/);
    refused(await verifier({ keys: [KEYS.rsa] }).verify(forged), /signature/);
  });

  test("a token by another key, or changed after it was signed, is refused", async () => {
    refused(await verifier().verify(await sign(MERCURE, {}, Buffer.alloc(32, 7))), /signature/);
    const [header, , signature] = (await sign(MERCURE)).split(".");
    const changed = Buffer.from(JSON.stringify({ mercure: { publish: ["*"], subscribe: ["*"] } })).toString(
      "base64url",
    );
    refused(await verifier().verify(`${header}.${changed}.${signature}`), /signature/);
  });

  test("selects the key by kid, and none for an unknown kid", async () => {
    const keys = [secretKey(Buffer.alloc(32, 1), "one"), secretKey(Buffer.alloc(32, 2), "two")];
    granted(await verifier({ keys }).verify(await sign(MERCURE, { kid: "two" }, Buffer.alloc(32, 2))));
    granted(await verifier({ keys }).verify(await sign(MERCURE, {}, Buffer.alloc(32, 2))));
    refused(await verifier({ keys }).verify(await sign(MERCURE, { kid: "one" }, Buffer.alloc(32, 2))), /signature/);
    refused(
      await verifier({ keys }).verify(await sign(MERCURE, { kid: "three" }, Buffer.alloc(32, 2))),
      /with the kid "three"/,
    );
    granted(await verifier().verify(await sign(MERCURE, { kid: "any" })));
  });

  test("keys that a token brings along, or points at, are not looked at", async () => {
    const jwk = await exportJWK(EC.publicKey);
    const own = { jwk, jku: "https://evil.example/jwks", x5u: "https://evil.example/x5u", x5c: ["MIIB"] };
    const forged = await sign(MERCURE, { alg: "ES256", ...own }, EC.privateKey);
    refused(await verifier({ keys: [KEYS.hs] }).verify(forged), /alg/);
    const other = publicKey(EC.publicKey, "ours");
    refused(
      await verifier({ keys: [other] }).verify(
        await sign(MERCURE, { alg: "ES256", ...own, kid: "theirs" }, EC.privateKey),
      ),
      /kid/,
    );
    granted(await verifier({ keys: [other] }).verify(forged));
  });

  test("a token that needs an extension is refused", async () => {
    const header = JSON.stringify({ alg: "HS256", b64: false, crit: ["b64"] });
    const input = `${Buffer.from(header).toString("base64url")}.abc`;
    const signature = createHmac("sha256", SECRET).update(input).digest("base64url");
    refused(await verifier().verify(`${input}.${signature}`), /crit/);
  });

  test("without a key every token is refused", async () => {
    refused(await verifier({ keys: [] }).verify(await sign(MERCURE)), /no key is configured/);
  });

  test("a token for another purpose is refused, however well it is signed", async () => {
    refused(await verifier().verify(await sign({ sub: "me", exp: SECONDS + 60 }, { typ: "JWT" })), /neither/);
    refused(await verifier().verify(await sign({})), /neither/);
  });

  test("claims that are no JSON object are refused", async () => {
    const bodies = [
      "",
      "[]",
      "null",
      '"x"',
      "{",
      '{"mercure":{}} x',
      Buffer.from('{"mercure":{"publish":["\xff"]}}', "latin1"),
      "[".repeat(40_000),
    ];
    for (const body of bodies)
      refused(await verifier().verify(signRaw('{"alg":"HS256"}', body)), /claims are not (a )?JSON|not a signed JWT/);
  });

  test("a token of more than 65,536 characters is refused", async () => {
    const token = signRaw('{"alg":"HS256"}', JSON.stringify({ ...MERCURE, padding: "x".repeat(50_000) }));
    refused(await verifier().verify(token), /at most 65536/);
  });

  test("an access token must not come in the query; one of 0.x may", async () => {
    const one = verifier();
    const token = await signAccess();
    refused(await one.verify(token, "query"), /in the query/);
    granted(await one.verify(token, "cookie"));
    refused(await one.verify(token, "query"), /in the query/);
    granted(await one.verify(await sign(MERCURE), "query"));
  });

  test("a token that was good is not checked again, until it expires", async () => {
    let parsed = 0;
    const clock = new FakeClock(NOW);
    const one = verifier({ clock, newParser: () => (kind, value) => `${++parsed} ${parse(kind, value)}` });
    const token = await signAccess();
    const grants = granted(await one.verify(token));
    assert.equal(granted(await one.verify(token)), grants);
    assert.equal(parsed, 1);
    clock.setNow(NOW + 3_599_999);
    granted(await one.verify(token));
    clock.setNow(NOW + 3_600_000);
    refused(await one.verify(token), /has expired/);
  });

  test("verifies a token once for simultaneous requests, and answers in order", async () => {
    let parsed = 0;
    const one = verifier({ newParser: () => (kind, value) => `${++parsed} ${parse(kind, value)}` });
    const token = await sign(MERCURE);
    const order: number[] = [];
    await Promise.all(
      Array.from({ length: 20 }, (_, n) => one.verify(token).then((it) => granted(it) && order.push(n))),
    );
    assert.equal(parsed, 1);
    assert.deepEqual(
      order,
      [...order].sort((a, b) => a - b),
    );
  });

  test("a refusal is not remembered: a token that is not valid yet becomes so", async () => {
    const clock = new FakeClock(NOW);
    const one = verifier({ clock });
    const token = await sign({ ...MERCURE, nbf: SECONDS + 1 });
    refused(await one.verify(token), /not valid yet/);
    clock.advance(1000);
    granted(await one.verify(token));
  });

  test("no reason for the log has the token in it, or anything that is long or spans lines", async () => {
    const long = "x\n".repeat(5000);
    const tokens = [
      await sign({ ...MERCURE, exp: 1 }),
      await signAccess({ iss: long }),
      await signAccess({ aud: long }),
      await sign({ mercure: { publish: long } }),
      signRaw(JSON.stringify({ alg: long }), "{}"),
      signRaw(JSON.stringify({ alg: "HS256", kid: long }), "{}"),
    ];
    for (const token of tokens) {
      const verified = await verifier({ keys: [secretKey(SECRET, "one")] }).verify(token);
      assert.ok(!verified.ok);
      assert.ok(verified.reason.length < 300 && !verified.reason.includes("\n"), verified.reason);
      for (const part of token.split(".")) assert.ok(!verified.reason.includes(part));
    }
  });

  const text = fc.oneof(fc.string(), fc.string({ unit: anyCharacter }), fc.base64String());
  const hostile = fc.oneof(
    text,
    fc.tuple(text, text, text).map((parts) => parts.join(".")),
    fc.tuple(fc.json(), fc.json()).map(([header, payload]) => signRaw(header, payload)),
    fc.json().map((payload) => signRaw('{"alg":"HS256","typ":"at+jwt"}', payload)),
    fc.jsonValue().map((mercure) => signRaw('{"alg":"HS256"}', JSON.stringify({ mercure }))),
    fc
      .record({ actions: fc.jsonValue(), topics: fc.jsonValue(), payload: fc.jsonValue() }, { requiredKeys: [] })
      .map((it) => access({ authorization_details: [{ type: DETAIL_TYPE, ...it }, it] }))
      .map((claims) => signRaw('{"alg":"HS256","typ":"at+jwt"}', JSON.stringify(claims))),
  );

  test("no text makes the verifier throw, and a good token is still good afterwards", async () => {
    const one = verifier({ keys: Object.values(KEYS) });
    await fc.assert(
      fc.asyncProperty(hostile, async (token) => {
        const verified = await one.verify(token);
        assert.ok(verified.ok || verified.code === "invalid_token");
      }),
      { numRuns: 200 },
    );
    granted(await one.verify(await signAccess()));
  });

  // Issuers whose clock is a second ahead were refused until their token was a second old.
  test("the clocks of issuers may differ by the leeway, in either direction, and no more", async () => {
    const leeway = 30_000;
    const check = async (claims: Record<string, number>) =>
      verifier({ leewayMs: leeway }).verify(await sign({ ...MERCURE, ...claims }));
    for (const name of ["nbf", "iat"]) {
      granted(await check({ [name]: SECONDS + 30 }));
      refused(await check({ [name]: SECONDS + 31 }), new RegExp(`not valid yet \\(${name}\\)`));
    }
    granted(await check({ exp: SECONDS - 29 }));
    refused(await check({ exp: SECONDS - 30 }), /has expired/);
    refused(await verifier().verify(await sign({ ...MERCURE, iat: SECONDS + 1 })), /not valid yet/);
  });

  test("an exp, nbf or iat of null is none", async () => {
    assert.equal(
      granted(await verifier().verify(await sign({ ...MERCURE, exp: null, nbf: null, iat: null }))).expiresAt,
      undefined,
    );
    refused(await verifier().verify(await signAccess({ exp: null })), /no exp/);
  });

  test("what was opened ends at exp; what is opened within the leeway after it, when that is over", async () => {
    const clock = new FakeClock(NOW);
    const it = verifier({ clock, leewayMs: 30_000 });
    const token = await sign({ ...MERCURE, exp: SECONDS + 10 });
    assert.equal(granted(await it.verify(token)).expiresAt, NOW + 10_000);
    clock.advance(10_000);
    assert.equal(granted(await it.verify(token)).expiresAt, NOW + 40_000);
    clock.advance(29_999);
    granted(await it.verify(token));
    clock.advance(1);
    refused(await it.verify(token), /has expired/);
  });

  test("of several tokens those that are good count together, until the first of them ends", async () => {
    const one = await sign({ mercure: { subscribe: ["a"], payload: 1 }, exp: SECONDS + 60, sub: "me" });
    const other = await sign({ mercure: { subscribe: ["b"], publish: ["c"] }, exp: SECONDS + 30 });
    const [expired, foreign] = [await sign({ ...MERCURE, exp: 1 }), await sign(MERCURE, {}, Buffer.alloc(32, 7))];
    const all = granted(await verifier().verifyAny([expired, one, foreign, other, await signAccess()], "cookie"));
    assert.deepEqual(
      [all.subscribe, all.publish, all.payloads.length, all.expiresAt, all.subject, all.dialect],
      [["template a", "template b"], ["template c"], 1, NOW + 30_000, "me", "0.x"],
    );
    assert.deepEqual(granted(await verifier().verifyAny([foreign, one], "cookie")).subscribe, ["template a"]);
    refused(await verifier().verifyAny([expired, foreign], "cookie"), /has expired/);
  });

  test("with an issuer configured a token of Mercure 0.x must have it, too", async () => {
    const it = verifier({ issuerV0: "https://login.example" });
    const mercure = { publish: ["*"] };
    for (const claims of [
      { mercure },
      { mercure, iss: "https://evil.example" },
      { mercure, iss: ["https://login.example"] },
    ]) {
      assert.equal((await it.verify(await sign(claims))).ok, false, JSON.stringify(claims));
    }
    assert.equal((await it.verify(await sign({ mercure, iss: "https://login.example" }))).ok, true);
  });
});
