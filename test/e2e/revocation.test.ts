/** A key that is removed from the JWKS of a real daemon, while it runs and while it does not. */
import assert from "node:assert/strict";
import { generateKeyPairSync, type KeyObject } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { SignJWT } from "jose";
import { startPair } from "../support/pair.js";
import { removeDirectory, temporaryDirectory } from "../support/processes.js";

describe("Revocation, end to end", () => {
  test("streams of a removed key end at SIGHUP, and after a restart; those of a key that stays go on", async (t) => {
    const folder = temporaryDirectory();
    t.after(() => removeDirectory(folder));
    const file = join(folder, "keys.json");
    const keys = ["first", "second", "third"].map(() => generateKeyPairSync("ed25519"));
    const write = (them: readonly { publicKey: KeyObject }[]) =>
      writeFileSync(file, JSON.stringify({ keys: them.map(({ publicKey }) => publicKey.export({ format: "jwk" })) }));
    write(keys);
    const pair = await startPair(t, { config: { auth: { subscriber_key: file } } });
    const clients = [];
    for (const { privateKey } of keys) {
      const token = await new SignJWT({ mercure: {} }).setProtectedHeader({ alg: "EdDSA" }).sign(privateKey);
      clients.push(await pair.stream({ authorization: `Bearer ${token}` }));
    }
    const [first, second, third] = clients as [(typeof clients)[0], (typeof clients)[0], (typeof clients)[0]];
    const revoked = () =>
      pair.daemon.logged(({ event, reason }) => event === "client_disconnected" && reason === "revoked", "it");
    write(keys.slice(1));
    pair.daemon.signal("SIGHUP");
    await Promise.all([revoked(), first.closed]);
    await pair.aged(2);
    await pair.daemon.kill9();
    write(keys.slice(2));
    await pair.restart();
    await Promise.all([revoked(), second.closed]);
    await pair.publisher.publish("still open");
    assert.equal((await third.next()).data, "still open");
  });
});
