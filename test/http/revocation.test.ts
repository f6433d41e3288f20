/** Streams and the keys of their tokens: a key that is removed ends what it opened, one that stays ends nothing. */
import assert from "node:assert/strict";
import { generateKeyPairSync, type KeyObject } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, type TestContext, test } from "node:test";
import { SignJWT } from "jose";
import type { StoredClient } from "../../src/delivery/client-store.js";
import { HUB, Web } from "./harness.js";

const pair = () => generateKeyPairSync("ed25519");
const jwk = ({ publicKey }: { publicKey: KeyObject }, kid?: string) => ({
  ...publicKey.export({ format: "jwk" }),
  ...(kid !== undefined && { kid }),
});
const sign = ({ privateKey }: { privateKey: KeyObject }) =>
  new SignJWT({ mercure: { subscribe: ["*"] } }).setProtectedHeader({ alg: "EdDSA" }).sign(privateKey);

/** A hub with two keys, and a stream of each of them and of somebody without a token. */
async function open(t: TestContext) {
  const [old, fresh] = [pair(), pair()];
  const folder = mkdtempSync(join(tmpdir(), "m2push-keys-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const file = join(folder, "keys.json");
  const write = (...keys: unknown[]) => writeFileSync(file, JSON.stringify({ keys }));
  write(jwk(old, "old"), jwk(fresh, "fresh"));
  const web = await Web.open({ config: `[auth]\nsubscriber_key = "${file}"` });
  const stream = async (headers: Record<string, string>) => {
    const id = web.send(HUB, { query: "topic=news", headers });
    await web.until(id, 1);
    return id;
  };
  const bearer = async (key: { privateKey: KeyObject }) => ({ authorization: `Bearer ${await sign(key)}` });
  const streams = {
    old: await stream(await bearer(old)),
    fresh: await stream(await bearer(fresh)),
    both: await stream({
      cookie: `mercureAuthorization=${await sign(old)}; mercureAuthorization=${await sign(fresh)}`,
    }),
    anonymous: await stream({}),
  };
  const openStreams = () => Object.entries(streams).flatMap(([name, id]) => (web.server.clients.has(id) ? [name] : []));
  return { web, old, fresh, write, file, streams, openStreams, bearer };
}

describe("A key that is removed", () => {
  test("ends the streams of its tokens at a reload, and no others", async (t) => {
    const { web, fresh, write, streams, openStreams, old, bearer } = await open(t);
    assert.deepEqual(openStreams(), ["old", "fresh", "both", "anonymous"]);
    write(jwk(fresh));
    web.site.reload(web.config);
    assert.deepEqual(openStreams(), ["fresh", "anonymous"]);
    assert.ok([streams.old, streams.both].every((id) => web.outlet.closed.includes(id)));
    assert.equal((await web.get(HUB, { query: "topic=news", headers: await bearer(old) })).status, 401);
  });

  test("ends every stream with a token where no key is left, but not those without one", async (t) => {
    const { web, openStreams } = await open(t);
    const { auth } = web.config;
    web.site.reload({ ...web.config, auth: { ...auth, subscriber_key: "", publisher_key: "" } });
    assert.deepEqual(openStreams(), ["anonymous"]);
  });

  test("ends streams that an earlier process has opened when they are adopted", async (t) => {
    const { web, fresh, write, streams } = await open(t);
    const known = new Map(web.store.clients);
    const next = await Web.open({ config: `[auth]\nsubscriber_key = "${web.config.auth.subscriber_key}"` });
    write(jwk(fresh));
    next.site.reload(next.config);
    for (const client of known.values())
      next.hub.adopt(next.server, JSON.parse(JSON.stringify(client)) as StoredClient);
    assert.deepEqual([...next.server.clients.keys()], [streams.fresh, streams.anonymous]);
    assert.deepEqual(next.outlet.closed, [streams.old, streams.both]);
  });

  test("opens no stream for a token that was being checked meanwhile", async (t) => {
    const { web, fresh, write, old, bearer } = await open(t);
    const id = web.send(HUB, { query: "topic=news", headers: await bearer(old) });
    write(jwk(fresh));
    web.site.reload(web.config);
    const [answer] = await web.until(id, 1);
    assert.equal(answer?.status, 401);
  });
});

describe("A reload that keeps the keys", () => {
  test("closes nobody, whatever the key's name, its place and its form are", async (t) => {
    const { web, old, fresh, write, file, openStreams } = await open(t);
    write(jwk(pair()), jwk(fresh, "renamed"), jwk(old));
    web.site.reload(web.config);
    assert.equal(openStreams().length, 4);
    write(jwk(old), jwk(fresh));
    web.site.reload(web.config);
    assert.equal(openStreams().length, 4);
    writeFileSync(file, old.publicKey.export({ format: "pem", type: "spki" }));
    web.site.reload(web.config);
    assert.deepEqual(openStreams(), ["old", "anonymous"]);
  });

  test("a faulty file closes nobody", async (t) => {
    const { web, write, openStreams } = await open(t);
    write();
    assert.throws(() => web.site.reload(web.config), { code: "config_invalid" });
    assert.equal(openStreams().length, 4);
  });
});

describe("The record of a client", () => {
  test("has fingerprints of its keys, and none where it has no token", async (t) => {
    const { web, streams } = await open(t);
    const of = (id: number) => web.store.clients.get(id)?.keyFingerprints;
    assert.match(String(of(streams.old)), /^[\w-]{16}$/);
    assert.deepEqual(of(streams.both), [...(of(streams.old) ?? []), ...(of(streams.fresh) ?? [])]);
    assert.equal(of(streams.anonymous), undefined);
  });
});
