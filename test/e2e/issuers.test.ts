/** An [[issuer]] whose JWKS endpoint is a real server, beside a real daemon that is started while the endpoint is down. */
import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { createServer } from "node:http";
import { describe, test } from "node:test";
import { SignJWT } from "jose";
import { startPair } from "../support/pair.js";
import { freePort } from "../support/ports.js";
import { HUB } from "./mercure.js";

const ISSUER = "https://login.example";

describe("Issuers, end to end", () => {
  test("a daemon that starts while the endpoint is down accepts the tokens that were valid before", async (t) => {
    const { publicKey, privateKey } = generateKeyPairSync("ed25519");
    const jwks = JSON.stringify({ keys: [{ ...publicKey.export({ format: "jwk" }), kid: "a" }] });
    const port = await freePort();
    const endpoint = createServer((_, response) => response.end(jwks)).listen(port, "127.0.0.1");
    t.after(() => endpoint.close());
    const pair = await startPair(t, {
      config: { "[issuer]": { issuer: ISSUER, jwks_url: `http://127.0.0.1:${port}/jwks` }, auth: { anonymous: false } },
    });
    const token = await new SignJWT({ iss: ISSUER, mercure: { publish: ["*"], subscribe: ["*"] } })
      .setProtectedHeader({ alg: "EdDSA", kid: "a" })
      .setExpirationTime("1h")
      .sign(privateKey);
    const headers = { authorization: `Bearer ${token}` };
    const publish = async () => {
      const body = new URLSearchParams({ topic: "news", data: "hello" });
      return (await fetch(`${pair.mongrel2.url}${HUB}`, { method: "POST", headers, body })).status;
    };
    assert.equal(await publish(), 200);
    await pair.daemon.stop();
    endpoint.closeAllConnections();
    await new Promise((resolve) => endpoint.close(resolve));
    await pair.restart();
    assert.equal(await publish(), 200);
    const told = await pair.daemon.logged(({ code }) => code === "issuer_unreachable", "the outage");
    assert.match(String(told.msg), /; the last keys count$/);
    assert.equal((await pair.stream(headers, `${HUB}?topic=news`)).status, 200);
  });
});
