/** Tokens and keys stay out of the log, also where a request is refused for them and the log says why. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { SignJWT } from "jose";
import { everything, HUB, SECRET, tokenV0, Web } from "../../http/harness.js";

const OTHER = "another secret of more than thirty-two bytes, too";

/** Tokens that are refused, each for its own reason. */
async function refused(): Promise<readonly string[]> {
  const good = await everything();
  const [head = "", body = "", signature = ""] = good.split(".");
  const sign = (alg: string, claims: Record<string, unknown>, key = SECRET) =>
    new SignJWT(claims).setProtectedHeader({ alg, typ: "JWT" }).sign(Buffer.from(key));
  return [
    "hunter2-is-my-password",
    `${head}.${body}.${signature.split("").reverse().join("")}`,
    `${head}.${body}.`,
    `${Buffer.from('{"alg":"none"}').toString("base64url")}.${body}.`,
    await sign("HS256", { mercure: { publish: ["*"] } }, OTHER),
    await sign("HS512", { mercure: { publish: ["*"] } }),
    await sign("HS256", { mercure: { publish: ["*"] }, exp: 1 }),
    await sign("HS256", { mercure: { publish: "the-claim-is-no-list" } }),
    await tokenV0({ subscribe: ["only-to-subscribe"] }),
  ];
}

/** No part of a token is long enough to be of use to anybody. */
function assertAbsent(text: string, secret: string, what: string): void {
  for (let at = 0; at + 12 <= secret.length; at++) {
    const part = secret.slice(at, at + 12);
    if (!PUBLIC.includes(part)) assert.ok(!text.includes(part), `${what}: "${part}" in ${text}`);
  }
}

/** Headers of tokens: the same for everybody, and nothing secret. */
const PUBLIC = Buffer.from('{"alg":"HS256","typ":"JWT"}').toString("base64url");

describe("Secrets", () => {
  test("reports why a token was rejected without the token, however it was sent", async () => {
    const web = await Web.open({ config: "[auth]\nanonymous = false" });
    const publish = { method: "POST", body: "topic=news&data=x" };
    const type = { "content-type": "application/x-www-form-urlencoded" };
    for (const token of await refused()) {
      const before = web.answered.length;
      await web.get(HUB, { ...publish, headers: { ...type, authorization: `Bearer ${token}` } });
      await web.get(HUB, { ...publish, headers: { ...type, cookie: `mercureAuthorization=${token}` } });
      await web.get(HUB, { ...publish, headers: type, query: `authorization=${token}` });
      await web.get(HUB, { ...publish, body: `${publish.body}&authorization=${token}`, headers: type });
      const told = web.answered.slice(before);
      assert.equal(told.length, 4);
      for (const line of told) {
        assert.match(line, /^\S+ 40[0-3] .{5,}$/);
        assertAbsent(line, token, token);
      }
    }
    const all = web.answered.join("\n");
    assertAbsent(all, SECRET, "the key");
    assertAbsent(all, OTHER, "another key");
  });
});
