/** Tokens that are revoked before their exp: they are refused, and their streams end. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { tokenId } from "../../src/hub/token-id.js";
import { HUB, NOW, tokenV0, Web } from "./harness.js";

const RIGHTS = { publish: ["*"], subscribe: ["*"] };

async function stream(web: Web, token: string): Promise<number> {
  const id = web.send(HUB, { query: "match=a", headers: { authorization: `Bearer ${token}` } });
  await web.until(id, 1);
  return id;
}

const isOpen = (web: Web, id: number) => web.server.clients.has(id);

describe("Revoked tokens", () => {
  test("a token that is revoked by its jti ends its streams and no others, and is refused though it was cached", async () => {
    const web = await Web.open();
    const [bad, good] = [await tokenV0(RIGHTS, { jti: "1" }), await tokenV0(RIGHTS, { jti: "2" })];
    const streams = [await stream(web, bad), await stream(web, bad), await stream(web, good)] as const;
    assert.equal(await web.revocations.revoke({ id: tokenId("jti", "1") }), 2);
    assert.deepEqual(
      streams.map((id) => isOpen(web, id)),
      [false, false, true],
    );
    assert.ok(web.outlet.closed.includes(streams[0]));
    assert.equal((await web.post("topic=a&data=x", { token: bad })).status, 401);
    assert.equal((await web.post("topic=a&data=x", { token: good })).status, 200);
    assert.match(web.answered.join("\n"), /the token was revoked/);
  });

  test("after a holder's tokens are revoked, those that are issued later are valid", async () => {
    const web = await Web.open();
    const old = await tokenV0(RIGHTS, { sub: "kim", iat: NOW });
    const before = await stream(web, old);
    web.clock.advance(2000);
    await web.revocations.revoke({ id: tokenId("sub", "kim"), issuedUntil: web.clock.now() });
    assert.ok(!isOpen(web, before));
    assert.equal((await web.post("topic=a&data=x", { token: old })).status, 401);
    web.clock.advance(2000);
    const fresh = await tokenV0(RIGHTS, { sub: "kim", iat: NOW + 3 });
    const after = await stream(web, fresh);
    assert.ok(isOpen(web, after));
    web.revocations.received([{ id: tokenId("sub", "kim"), issuedUntil: web.clock.now() - 2000 }]);
    assert.ok(isOpen(web, after));
  });

  test("ends the stream of an earlier process that is continued, where its token was revoked meanwhile", async () => {
    const web = await Web.open();
    const id = await stream(web, await tokenV0(RIGHTS, { jti: "1" }));
    const [stored] = web.hub.lost(web.server);
    assert.ok(stored);
    await web.revocations.revoke({ id: tokenId("jti", "1") });
    web.hub.adopt(web.server, stored);
    assert.ok(!isOpen(web, id));
    assert.ok(web.outlet.closed.includes(id));
  });

  test("a stream without a token, or with a token without names, is not concerned", async () => {
    const web = await Web.open();
    const anonymous = web.send(HUB, { query: "match=a" });
    const nameless = await stream(web, await tokenV0(RIGHTS));
    await web.revocations.revoke({ id: tokenId("sub", "") });
    assert.ok(isOpen(web, anonymous) && isOpen(web, nameless));
  });
});
