/** A key that is removed, from the file of a real daemon or at its issuer, while the daemon runs and while it does not. */
import assert from "node:assert/strict";
import { generateKeyPairSync, type KeyObject } from "node:crypto";
import { writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { describe, test } from "node:test";
import { SignJWT } from "jose";
import { addToken } from "../../src/cli/token-command.js";
import { runCommand } from "../cli/harness.js";
import { startNodes } from "../support/nodes.js";
import { startPair } from "../support/pair.js";
import { freePort } from "../support/ports.js";
import { removeDirectory, temporaryDirectory } from "../support/processes.js";

describe("Revocation, end to end", () => {
  test("an issuer's keys come from its URL, and those that it removed end their streams", async (t) => {
    const [old, fresh] = [generateKeyPairSync("ed25519"), generateKeyPairSync("ed25519")];
    const jwk = ({ publicKey }: { publicKey: KeyObject }, kid: string) => ({
      ...publicKey.export({ format: "jwk" }),
      kid,
    });
    let keys = [jwk(old, "old"), jwk(fresh, "fresh")];
    const issuer = "https://login.example";
    const server = createServer((_, response) => response.end(JSON.stringify({ keys }))).listen(0, "127.0.0.1");
    await new Promise((resolve) => server.once("listening", resolve));
    t.after(() => server.close().closeAllConnections());
    const { port } = server.address() as AddressInfo;
    const table = { issuer, jwks_url: `http://127.0.0.1:${port}/` };
    const pair = await startPair(t, { config: { "[issuer]": table } });
    const stream = async ({ privateKey }: { privateKey: KeyObject }, kid: string) => {
      const token = new SignJWT({ mercure: {} }).setProtectedHeader({ alg: "EdDSA", kid }).setIssuer(issuer);
      return pair.stream({ authorization: `Bearer ${await token.sign(privateKey)}` });
    };
    const first = await stream(old, "old");
    const second = await stream(fresh, "fresh");
    keys = [jwk(fresh, "fresh")];
    await pair.aged(2);
    await pair.daemon.kill9();
    await pair.restart();
    await first.closed;
    await pair.publisher.publish("still open");
    assert.equal((await second.next()).data, "still open");
  });

  test("a revoked token ends its stream, and stays revoked after a restart; so do all tokens of a holder", async (t) => {
    const secret = "a secret of more than thirty-two bytes, for tests";
    const listen = `127.0.0.1:${await freePort()}`;
    const config = { auth: { subscriber_key: secret }, admin: { listen, token: "a-token-of-operators" } };
    const pair = await startPair(t, { config });
    const token = async (...args: string[]) => {
      const { stdout } = await runCommand(addToken, ["token", "make", "--role", "subscriber", "-c", file, ...args]);
      return stdout.trim();
    };
    const file = pair.daemon.configFile;
    const headers = (jwt: string) => ({ authorization: `Bearer ${jwt}` });
    const [bad, good] = [await token("--sub", "a"), await token("--sub", "b")];
    const [first, second] = [await pair.stream(headers(bad)), await pair.stream(headers(good))];
    const { stdout, stderr } = await runCommand(addToken, ["token", "revoke", "-c", file, bad]);
    assert.equal(stdout, "revoked; 1 stream ended on this daemon\n", stderr);
    await first.closed;
    assert.equal((await pair.stream(headers(bad))).status, 401);
    await pair.aged(2);
    await pair.daemon.kill9();
    await pair.restart();
    assert.equal((await pair.stream(headers(bad))).status, 401);
    await pair.publisher.publish("still open");
    assert.equal((await second.next()).data, "still open");
    await runCommand(addToken, ["token", "revoke", "-c", file, "--sub", "b"]);
    await second.closed;
    assert.equal((await pair.stream(headers(good))).status, 401);
  });

  test("a token that is revoked on one node of a cluster is revoked on all, also on one that was away", async (t) => {
    const secret = "a secret of more than thirty-two bytes, for tests";
    const { a, b } = await startNodes(t, { auth: { subscriber_key: secret }, admin: { listen: "127.0.0.1:0" } });
    const { admin } = await a.daemon.logged(({ event }) => event === "started", "its admin address");
    const file = a.daemon.configFile;
    const run = async (...args: string[]) =>
      (
        await runCommand(addToken, [
          "token",
          ...args,
          "-c",
          file,
          "--admin-listen",
          String(admin).replace("http://", ""),
        ])
      ).stdout;
    const make = async (sub: string) => {
      const jwt = (await run("make", "--role", "subscriber", "--sub", sub)).trim();
      return { jwt, headers: { authorization: `Bearer ${jwt}` } };
    };
    const [first, second, good] = [await make("a"), await make("b"), await make("c")];
    const [here, there] = [await a.stream(first.headers), await b.stream(first.headers)];
    const kept = await a.stream(good.headers);
    assert.equal(await run("revoke", first.jwt), "revoked; 1 stream ended on this daemon\n");
    await Promise.all([here.closed, there.closed]);
    assert.deepEqual([(await a.stream(first.headers)).status, (await b.stream(first.headers)).status], [401, 401]);
    const away = await b.stream(second.headers);
    await b.daemon.kill9();
    await run("revoke", "--sub", "b");
    await b.restart();
    await away.closed;
    assert.equal((await b.stream(second.headers)).status, 401);
    assert.equal((await b.stream(first.headers)).status, 401, "it was recorded there");
    await a.publisher.publish("still open");
    assert.equal((await kept.next()).data, "still open");
  });

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
      pair.daemon.logged(({ event, reason }) => event === "disconnect" && reason === "revoked", "it");
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
