/** Tokens of the issuers that [[issuer]] tables name, whose keys come from a URL. */
import assert from "node:assert/strict";
import { generateKeyPairSync, type KeyObject } from "node:crypto";
import { describe, test } from "node:test";
import { SignJWT } from "jose";
import type { FetchedJwks } from "../../src/http/auth/fetch-jwks.js";
import type { KeptJwks } from "../../src/http/auth/jwks-source.js";
import { load } from "../config/harness.js";
import { detail, everything, everythingV8, HUB, NOW, SECRET, Web } from "./harness.js";

const ISSUER = "https://login.example";
const URL_ = "https://login.example/jwks";
const TABLE = `[[issuer]]\nname = "login"\nissuer = "${ISSUER}"\njwks_url = "${URL_}"\n`;
const MINUTE_MS = 60_000;

interface Key {
  readonly kid: string;
  readonly publicKey: KeyObject;
  readonly privateKey: KeyObject;
}

const newKey = (kid: string): Key => ({ kid, ...generateKeyPairSync("ed25519") });
const jwks = (...keys: Key[]) =>
  JSON.stringify({ keys: keys.map(({ kid, publicKey }) => ({ ...publicKey.export({ format: "jwk" }), kid })) });

/** An endpoint that answers when a test says so, or at once what `text` says. */
class Endpoint {
  text: string | undefined;
  maxAgeMs: number | undefined = 5 * MINUTE_MS;
  asked = 0;
  holds = false;
  readonly #held: (() => void)[] = [];

  readonly fetch = async (): Promise<FetchedJwks> => {
    this.asked++;
    if (this.holds) await new Promise<void>((resolve) => this.#held.push(resolve));
    if (this.text === undefined) throw new Error("ECONNREFUSED");
    return { text: this.text, maxAgeMs: this.maxAgeMs };
  };

  release(): void {
    this.holds = false;
    for (const resolve of this.#held.splice(0)) resolve();
  }
}

/** A data folder without a disk. */
class Kept implements KeptJwks {
  readonly files = new Map<string, { text: string; readAt: number } | Error>();

  read(url: string) {
    const stored = this.files.get(url);
    if (stored instanceof Error) throw stored;
    return stored;
  }

  write(url: string, text: string, readAt: number): void {
    this.files.set(url, { text, readAt });
  }
}

const nextTurn = () => new Promise((resolve) => setImmediate(resolve));

function sign({ kid, privateKey }: Key, claims: Record<string, unknown> = {}): Promise<string> {
  const standard = { iss: ISSUER, aud: `http://localhost:6767${HUB}`, exp: NOW + 36_000 };
  const details = { authorization_details: [detail(["publish", "subscribe"], ["*"])] };
  return new SignJWT({ ...standard, ...details, ...claims })
    .setProtectedHeader({ alg: "EdDSA", typ: "at+jwt", kid })
    .sign(privateKey);
}

const signV0 = ({ kid, privateKey }: Key, claims: Record<string, unknown> = {}) =>
  new SignJWT({ iss: ISSUER, mercure: { publish: ["*"] }, ...claims })
    .setProtectedHeader({ alg: "EdDSA", kid })
    .sign(privateKey);

async function open(...keys: Key[]) {
  const endpoint = new Endpoint();
  endpoint.text = jwks(...keys);
  const web = await Web.open({ config: TABLE, fetchJwks: endpoint.fetch });
  await nextTurn();
  const status = async (token: string) => (await web.post("topic=a&data=x", { token })).status;
  return { web, endpoint, status };
}

describe("Issuers", () => {
  test("a token of an issuer is verified with the keys of its URL, in both dialects", async () => {
    const key = newKey("a");
    const { endpoint, status } = await open(key);
    assert.equal(await status(await sign(key)), 200);
    assert.equal(await status(await signV0(key)), 200);
    assert.equal(endpoint.asked, 1);
  });

  test("the keys of one issuer sign no token of another, nor do those of [auth]", async () => {
    const key = newKey("a");
    const { status, web } = await open(key);
    assert.equal(await status(await sign(key, { iss: "https://other.example" })), 401);
    const forged = await new SignJWT({ iss: ISSUER, mercure: { publish: ["*"] } })
      .setProtectedHeader({ alg: "HS256" })
      .sign(Buffer.from(SECRET));
    assert.equal(await status(forged), 401);
    assert.equal(await status(await everything()), 200, "a token of 0.x without an issuer");
    assert.equal(await status(await everythingV8()), 401, "its iss has the table, whose keys did not sign it");
    assert.equal(web.history.last, 1);
  });

  test("an access token whose iss no table has is refused, though a key of [auth] signed it", async () => {
    const web = await Web.open({
      config: TABLE.replace(ISSUER, "https://elsewhere.example"),
      fetchJwks: async () => ({ text: jwks(newKey("a")), maxAgeMs: undefined }),
    });
    assert.equal((await web.post("topic=a&data=x", { token: await everythingV8() })).status, 401);
    assert.match(web.answered[0] ?? "", /which no \[\[issuer\]\] has/);
  });

  test("the audience is the hub's URL, or what the table says", async () => {
    const key = newKey("a");
    const { web, status } = await open(key);
    assert.equal(await status(await sign(key, { aud: "https://api.example" })), 401);
    web.site.reload(load(`${TABLE}audience = ["https://api.example"]\n`).config);
    assert.equal(await status(await sign(key, { aud: ["x", "https://api.example"] })), 200);
    assert.equal(await status(await sign(key)), 401);
    assert.equal(await status(await signV0(key)), 401);
    assert.equal(await status(await signV0(key, { aud: "https://api.example" })), 200);
  });

  test("an outage of ten minutes refuses nobody who was valid, and is one condition", async () => {
    const key = newKey("a");
    const { web, endpoint, status } = await open(key);
    const token = await sign(key);
    const stream = web.send(HUB, { query: "match=a", headers: { authorization: `Bearer ${token}` } });
    endpoint.text = undefined;
    for (let second = 0; second < 600; second += 10) {
      web.clock.advance(10_000);
      await nextTurn();
      assert.equal(await status(token), 200);
      assert.equal(await status(await sign(key, { jti: `${second}` })), 200, "a token that was not seen before");
    }
    assert.ok(web.server.clients.has(stream));
    assert.ok(endpoint.asked > 5 && endpoint.asked < 30, `${endpoint.asked} requests`);
    assert.deepEqual(web.conditionLog, ["began issuer_unreachable"]);
    endpoint.text = jwks(key);
    web.clock.advance(2 * MINUTE_MS);
    await nextTurn();
    assert.deepEqual(web.conditionLog, ["began issuer_unreachable", "ended issuer_unreachable"]);
  });

  test("no request that the known keys can decide waits for the endpoint", async () => {
    const key = newKey("a");
    const { web, endpoint, status } = await open(key);
    endpoint.holds = true;
    web.clock.advance(6 * MINUTE_MS);
    assert.equal(endpoint.asked, 2, "a read is under way");
    assert.equal(await status(await sign(key)), 200);
    assert.equal(await status(`${await sign(key)}x`), 401);
    endpoint.release();
  });

  test("a token with an unknown kid waits for one read, and all such tokens cause one in half a minute", async () => {
    const [old, fresh] = [newKey("a"), newKey("b")];
    const { web, endpoint, status } = await open(old);
    web.clock.advance(MINUTE_MS);
    endpoint.text = jwks(old, fresh);
    assert.equal(await status(await sign(fresh)), 200);
    assert.equal(endpoint.asked, 2);
    for (let at = 0; at < 20; at++) assert.equal(await status(await sign(newKey(`stranger-${at}`))), 401);
    assert.equal(endpoint.asked, 2);
    web.clock.advance(30_000);
    assert.equal(await status(await sign(newKey("stranger"))), 401);
    assert.equal(endpoint.asked, 3);
  });

  test("a key that the issuer removes ends its streams and its tokens", async () => {
    const [old, fresh] = [newKey("a"), newKey("b")];
    const { web, endpoint, status } = await open(old, fresh);
    const token = await sign(old);
    const stream = web.send(HUB, { query: "match=a", headers: { authorization: `Bearer ${token}` } });
    await web.until(stream, 1);
    assert.equal(await status(token), 200);
    endpoint.text = jwks(fresh);
    web.clock.advance(5 * MINUTE_MS);
    await nextTurn();
    assert.ok(!web.server.clients.has(stream));
    assert.equal(await status(token), 401);
  });

  test("a set without a usable key is a failure, and changes nothing", async () => {
    const key = newKey("a");
    const { web, endpoint, status } = await open(key);
    for (const text of ["", "[]", '{"keys":[]}', '{"keys":[{"kty":"oct","k":"c2VjcmV0"}]}']) {
      endpoint.text = text;
      web.clock.advance(6 * MINUTE_MS);
      await nextTurn();
      assert.equal(await status(await sign(key)), 200, text);
    }
    assert.deepEqual(web.conditionLog, ["began issuer_unreachable"]);
  });

  test("where no key was read yet, tokens wait for the first read, and no stream of an earlier process is closed", async () => {
    const key = newKey("a");
    const endpoint = new Endpoint();
    endpoint.holds = true;
    endpoint.text = jwks(key);
    const web = await Web.open({ config: TABLE, fetchJwks: endpoint.fetch });
    assert.ok(web.hub.trusts(["an earlier key"]));
    const answer = web.post("topic=a&data=x", { token: await sign(key) });
    await nextTurn();
    endpoint.release();
    assert.equal((await answer).status, 200);
    assert.ok(!web.hub.trusts(["an earlier key"]));
  });

  test("a process that starts during an outage begins with the kept keys, and refuses nobody who was valid", async () => {
    const [key, removed] = [newKey("a"), newKey("b")];
    const endpoint = new Endpoint();
    endpoint.text = jwks(key);
    const kept = new Kept();
    const start = () => Web.open({ config: TABLE, fetchJwks: endpoint.fetch, keptJwks: kept });
    await start();
    await nextTurn();
    assert.deepEqual([...kept.files], [[URL_, { text: jwks(key), readAt: NOW * 1000 }]]);
    endpoint.text = undefined;
    const web = await start();
    const status = async (token: string) => (await web.post("topic=a&data=x", { token })).status;
    await nextTurn();
    assert.deepEqual([await status(await sign(key)), await status(await sign(removed))], [200, 401]);
    assert.ok(!web.hub.trusts(["another key"]), "streams of keys that were removed before do not come back");
    assert.deepEqual(web.conditionLog, ["began issuer_unreachable"]);
    for (let hour = 0; hour < 48; hour++) {
      web.clock.advance(60 * MINUTE_MS);
      await nextTurn();
    }
    assert.equal(await status(await sign(key, { exp: NOW + 1e6 })), 200, "the keys count until others have been read");
    assert.equal(kept.read(URL_)?.readAt, NOW * 1000);
  });

  test("kept keys of more than a day, of the future, or that cannot be read are not used", async () => {
    const key = newKey("a");
    const text = jwks(key);
    const damaged = "damaged";
    for (const stored of [
      { text, readAt: (NOW - 86_401) * 1000 },
      { text, readAt: (NOW + 60) * 1000 },
      { text: damaged, readAt: NOW * 1000 },
      new Error("EIO"),
    ]) {
      const endpoint = new Endpoint();
      const kept = new Kept();
      kept.files.set(URL_, stored);
      const web = await Web.open({ config: TABLE, fetchJwks: endpoint.fetch, keptJwks: kept });
      await nextTurn();
      const status = async () => (await web.post("topic=a&data=x", { token: await sign(key) })).status;
      assert.equal(await status(), 401);
      endpoint.text = text;
      web.clock.advance(30_000);
      await nextTurn();
      assert.equal(await status(), 200);
      assert.deepEqual(kept.files.get(URL_), { text, readAt: web.clock.now() });
    }
  });

  test("a reload keeps the keys of a URL, and closes what it no longer needs", async () => {
    const key = newKey("a");
    const { web, endpoint, status } = await open(key);
    web.site.reload(load(`${TABLE}[auth]\npublisher_key = "${SECRET}"\n`).config);
    assert.equal(await status(await sign(key)), 200);
    assert.equal(endpoint.asked, 1);
    web.site.reload(load(`[auth]\npublisher_key = "${SECRET}"\n`).config);
    assert.equal(await status(await sign(key)), 401);
    web.clock.advance(60 * MINUTE_MS);
    assert.equal(endpoint.asked, 1);
  });

  test("names its issuers in the metadata of the hub", async () => {
    const { web } = await open(newKey("a"));
    const { body } = await web.get(`/.well-known/oauth-protected-resource${HUB}`);
    assert.deepEqual(JSON.parse(body).authorization_servers, [ISSUER]);
  });
});
