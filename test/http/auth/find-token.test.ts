import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { findToken, type PresentedToken } from "../../../src/http/auth/find-token.js";
import { anyCharacter } from "../../support/arbitraries.js";

const BOTH = { acceptsV0: true };
const ONLY_V8 = { acceptsV0: false };

type Given = Readonly<Record<string, string | string[]>>;

const request = (headers: Given, query = "") => ({
  headers: new Map(Object.entries(headers).map(([name, value]) => [name, [value].flat()] as const)),
  query,
});

const find = (headers: Given, query = "", options = BOTH) => findToken(request(headers, query), options);
const token = (text: string, source: string, ...others: string[]): PresentedToken =>
  ({ kind: "tokens", tokens: [text, ...others], source }) as PresentedToken;

function isMalformed(presented: PresentedToken): void {
  assert.equal(presented.kind, "malformed");
  assert.equal(presented.kind === "malformed" && presented.refusal.code, "invalid_request");
}

describe("findToken", () => {
  test("finds none in a request without a token", () => {
    for (const query of ["", "topic=a", "authorization2=x"])
      assert.deepEqual(find({ cookie: "a=b" }, query), { kind: "none" });
  });

  test("the header's scheme is Bearer in any case, with any number of spaces", () => {
    for (const value of [
      "Bearer a.b-c_d.~+/==",
      "bearer a.b-c_d.~+/==",
      "BEARER   a.b-c_d.~+/==",
      " Bearer a.b-c_d.~+/== ",
    ]) {
      assert.deepEqual(find({ authorization: value }), token("a.b-c_d.~+/==", "header"));
      assert.deepEqual(find({ authorization: value }, "", ONLY_V8), token("a.b-c_d.~+/==", "header"));
    }
  });

  test("reports a malformed header, which neither query nor cookie replaces", () => {
    const rest = { cookie: "mercureAuthorization=c; __Secure-mercure_access_token=c" };
    for (const value of [
      "",
      " ",
      "Bearer",
      "Bearer ",
      "Bearer a b",
      "Bearer a,b",
      "Bearer\ta",
      "Bearer =",
      'Bearer "a"',
      "Bearer é",
      "ey.J.x?",
    ]) {
      isMalformed(find({ authorization: value, ...rest }, "authorization=q"));
    }
    isMalformed(find({ authorization: ["Bearer a", "Bearer a"], ...rest }));
    isMalformed(find({ authorization: "Bearer a, Bearer b" }));
  });

  // A site behind Basic or Negotiate: the browser sends that with each request, and its cookie was never looked at.
  test("ignores another scheme, and finds the token in the query or a cookie", () => {
    for (const value of ["Basic dXNlcjpwdw==", "Digest username=x, realm=y", "Negotiate", "Negotiate YII="]) {
      const headers = { authorization: value, cookie: "mercureAuthorization=c" };
      assert.deepEqual(find({ authorization: value }), { kind: "none" });
      assert.deepEqual(find(headers), token("c", "cookie"));
      assert.deepEqual(find(headers, "authorization=q"), token("q", "query"));
      isMalformed(find(headers, "authorization=a&authorization=b"));
    }
  });

  test("prefers the header to the query, and the query to the cookies", () => {
    const cookie = "mercureAuthorization=old; __Secure-mercure_access_token=new";
    assert.deepEqual(find({ authorization: "Bearer h", cookie }, "authorization=q"), token("h", "header"));
    assert.deepEqual(find({ cookie }, "authorization=q"), token("q", "query"));
    assert.deepEqual(find({ cookie }), token("new", "cookie", "old"));
    assert.deepEqual(find({ cookie: "mercureAuthorization=old" }), token("old", "cookie"));
  });

  test("the query has exactly one token", () => {
    assert.deepEqual(find({}, "topic=a&authorization=x.y.z&b"), token("x.y.z", "query"));
    assert.deepEqual(find({}, "%61uthorization=x%2Ey"), token("x.y", "query"));
    for (const query of ["authorization", "authorization=", "authorization=a&authorization=a"])
      isMalformed(find({}, query));
  });

  test("with 0.x turned off its query parameter and its cookie have no effect, and access_token never has", () => {
    const cookie = "mercureAuthorization=old";
    assert.deepEqual(find({ cookie }, "authorization=q&access_token=q", ONLY_V8), { kind: "none" });
    assert.deepEqual(
      find({ cookie: `${cookie}; __Secure-mercure_access_token=new` }, "", ONLY_V8),
      token("new", "cookie"),
    );
    assert.deepEqual(find({}, "access_token=q"), { kind: "none" });
  });

  test("cookies are read as browsers write them", () => {
    const name = "mercureAuthorization";
    for (const cookie of [
      `${name}=a.b`,
      `x; y=1;${name}=a.b`,
      `${name}="a.b"; z`,
      `  ${name} = a.b ;`,
      `=v; ${name}=a.b; ${name}=a.b`,
    ]) {
      assert.deepEqual(find({ cookie }), token("a.b", "cookie"), cookie);
    }
    assert.deepEqual(find({ cookie: ["x=1", `${name}=a=b`] }), token("a=b", "cookie"));
    for (const cookie of [
      `x${name}=a`,
      `${name.toLowerCase()}=a`,
      name,
      `${name}=`,
      `${name}=""`,
      `x="; y"; z=${name}`,
    ]) {
      assert.deepEqual(find({ cookie }), { kind: "none" }, cookie);
    }
  });

  test("every cookie of a name is shown, those of the newer name first, but no more than are worth a check", () => {
    const name = "mercureAuthorization";
    assert.deepEqual(find({ cookie: [`${name}=a; ${name}=b`, `${name}=c`] }), token("a", "cookie", "b", "c"));
    const both = `${name}=old1; __Secure-mercure_access_token=new1; ${name}=old2; __Secure-mercure_access_token=new2`;
    assert.deepEqual(find({ cookie: both }), token("new1", "cookie", "new2", "old1", "old2"));
    const many = Array.from({ length: 500 }, (_, at) => `${name}=${at}`).join("; ");
    assert.deepEqual(find({ cookie: many }), token("0", "cookie", "1", "2", "3"));
  });

  test("an empty cookie, as a log-out leaves it, does not hide another", () => {
    const cookie = "__Secure-mercure_access_token=; mercureAuthorization=old";
    assert.deepEqual(find({ cookie }), token("old", "cookie"));
  });

  test("never throws, and a rejection does not repeat the request", () => {
    const any = fc.option(fc.array(fc.oneof(fc.string(), fc.string({ unit: anyCharacter })), { maxLength: 3 }), {
      nil: undefined,
    });
    fc.assert(
      fc.property(
        any,
        any,
        fc.string({ unit: anyCharacter }),
        fc.boolean(),
        (authorization, cookie, query, acceptsV0) => {
          const headers = { ...(authorization && { authorization }), ...(cookie && { cookie }) };
          const presented = find(headers, query, { acceptsV0 });
          assert.ok(["none", "tokens", "malformed"].includes(presented.kind));
          if (presented.kind === "tokens") assert.ok(!presented.tokens.includes(""));
        },
      ),
      { numRuns: 300 },
    );
    fc.assert(
      fc.property(fc.string({ minLength: 20 }), (secret) => {
        const presented = find({ authorization: `Bearer ${secret} ${secret}` });
        assert.ok(presented.kind !== "malformed" || !presented.refusal.reason.includes(secret));
      }),
    );
  });
});
