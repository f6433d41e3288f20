import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { after, describe, test } from "node:test";
import { decodeJwt, decodeProtectedHeader } from "jose";
import { addToken } from "../../src/cli/token-command.js";
import { runCommand } from "./harness.js";

const SECRET = "a secret of more than thirty-two bytes, for tests";
const HUB = "http://localhost:6767/.well-known/mercure";
const KINDS = {
  RS256: generateKeyPairSync("rsa", { modulusLength: 2048 }),
  ES256: generateKeyPairSync("ec", { namedCurve: "P-256" }),
  EdDSA: generateKeyPairSync("ed25519"),
};

describe("Token command", () => {
  const cwd = mkdtempSync(join(tmpdir(), "m2push-token-"));
  after(() => rmSync(cwd, { recursive: true }));
  const write = (name: string, text: string): string => {
    writeFileSync(join(cwd, name), text);
    return name;
  };
  const secretFile = write("secret.toml", `[auth]\npublisher_key = "${SECRET}"\n`);
  const run = (args: readonly string[], given = {}) => runCommand(addToken, ["token", ...args], { cwd, ...given });
  const make = async (...args: string[]): Promise<string> => {
    const { code, stdout, stderr } = await run(["make", ...args]);
    assert.equal(code, 0, stderr);
    return stdout.trim();
  };

  test("makes a token of 0.x from the configured secret, and check accepts it", async () => {
    const token = await make("-c", secretFile, "--publish", "news", "--subscribe", "users/{id}", "--sub", "user-7");
    const { mercure, exp, iat, jti, sub } = decodeJwt(token);
    assert.deepEqual(mercure, { publish: ["news"], subscribe: ["users/{id}"] });
    assert.equal((exp ?? 0) - (iat ?? 0), 3600);
    assert.equal(sub, "user-7");
    assert.match(jti ?? "", /^[0-9a-f-]{36}$/);
    const { code, stdout } = await run(["check", "-c", secretFile, token, "users/7"]);
    assert.equal(code, 0);
    assert.match(stdout, /^publish: accepted, a token of Mercure 0\.x, without iss, sub "user-7", until 20/m);
    assert.match(stdout, /^publish "users\/7": no \(403\): no grant selects it$/m);
    assert.match(stdout, /^subscribe "users\/7": yes, by the grant "users\/\{id\}" \(URI template\)$/m);
  });

  test("makes an access token of draft-08, with issuer and audience", async () => {
    const options = ["--dialect", "draft-08", "--iss", "https://login.example", "--url-patterns", "--expires", "5m"];
    const token = await make("-c", secretFile, "--publish", "/news/*", ...options);
    assert.equal(decodeProtectedHeader(token).typ, "at+jwt");
    const { aud, iss, exp, iat } = decodeJwt(token);
    assert.deepEqual([aud, iss, (exp ?? 0) - (iat ?? 0)], [HUB, "https://login.example", 300]);
    const { stdout } = await run(["check", "-c", secretFile, "-", "/news/1"], { stdin: Readable.from([`${token}\n`]) });
    assert.match(stdout, /^publish "\/news\/1": yes, by the grant "\/news\/\*" \(URL pattern\)$/m);
    assert.match(stdout, /^subscribe "\/news\/1": public events only: no grant selects it$/m);
  });

  for (const [alg, { publicKey, privateKey }] of Object.entries(KINDS)) {
    test(`signs with a private key whose public half is configured: ${alg}`, async () => {
      const jwks = write(
        `${alg}.json`,
        JSON.stringify({ keys: [{ ...publicKey.export({ format: "jwk" }), kid: alg }] }),
      );
      const file = write(`${alg}.toml`, `[auth]\npublisher_key = "./${jwks}"\n`);
      const pem = write(`${alg}.pem`, privateKey.export({ type: "pkcs8", format: "pem" }).toString());
      const token = await make("-c", file, "--publish", "*", "--private-key", pem);
      assert.deepEqual(decodeProtectedHeader(token), { alg, kid: alg, typ: "JWT" });
      assert.match((await run(["make", "-c", file, "--publish", "*"])).stderr, /public key.*--private-key FILE/);
    });
  }

  test("refuses a private key that is not configured, and settings without a key", async () => {
    const pem = write("other.pem", KINDS.EdDSA.privateKey.export({ type: "pkcs8", format: "pem" }).toString());
    const stranger = await run(["make", "-c", secretFile, "--publish", "a", "--private-key", pem]);
    assert.match(stranger.stderr, /does not belong to auth\.publisher_key/);
    assert.match((await run(["make", "--publish", "a"])).stderr, /auth\.publisher_key: no key is configured; fix/);
    const missing = await run(["make", "-c", secretFile, "--private-key", "nowhere.pem"]);
    assert.match(missing.stderr, /cannot read .*nowhere\.pem/);
  });

  test("makes no token that the daemon would refuse", async () => {
    const never = await run(["make", "-c", secretFile, "--dialect", "draft-08", "--iss", "a", "--expires", "never"]);
    assert.match(never.stderr, /would refuse this token: the token has no exp/);
    const issuerless = await run(["make", "-c", secretFile, "--dialect", "draft-08"]);
    assert.match(issuerless.stderr, /would refuse this token: the iss is/);
    assert.equal(decodeJwt(await make("-c", secretFile, "--expires", "never")).exp, undefined);
  });

  test("signs with the key of an issuer's table, and check reads it with that table", async () => {
    const file = write(
      "issuers.toml",
      `[[issuer]]\nissuer = "a"\nkeys = "${SECRET} of a"\naudience = ["hub-a"]\n[[issuer]]\nissuer = "b"\nkeys = "${SECRET} of b"\n`,
    );
    const token = await make("-c", file, "--iss", "a", "--dialect", "draft-08", "--publish", "x");
    assert.equal(decodeJwt(token).aud, "hub-a");
    assert.equal((await run(["check", "-c", file, token, "x"])).code, 0);
    const swapped = await run(["check", "-c", file, token.replace(/\.[^.]+$/, `.${"A".repeat(43)}`), "x"]);
    assert.match(swapped.stderr, /the signature is not from a configured key/);
  });

  test("says why a token is refused, in both roles, and never shows it", async () => {
    const token = await make("-c", secretFile, "--publish", "a", "--expires", "1s");
    const later = { clock: { ...fixedClock(Date.now() + 60_000) } };
    const { code, stderr, stdout } = await run(["check", "-c", secretFile, token, "a"], later);
    assert.equal(code, 1);
    assert.match(stderr, /publish: refused \(401\): the token has expired \(exp\)/);
    assert.match(stderr, /subscribe: refused \(401\): the token has expired \(exp\)/);
    assert.ok(!`${stderr}${stdout}`.includes(token));
  });

  test("says what is missing or too much", async () => {
    assert.match((await run(["check", "-c", secretFile])).stderr, /check needs a token/);
    assert.match((await run(["make", "-c", secretFile, "x"])).stderr, /make takes no argument/);
    assert.match((await run(["make", "-c", secretFile, "--expires", "soon"])).stderr, /expected a duration/);
    assert.match((await run(["make", "-c", secretFile, "--payload", "{"])).stderr, /expected JSON/);
    const long = await run(["check", "-"], { stdin: Readable.from(["x".repeat(100_001)]) });
    assert.match(long.stderr, /more than 100000 bytes/);
  });

  test("revokes a token at the daemon's admin address, by its jti, iss and exp", async (t) => {
    const requests: string[] = [];
    const responses = [
      { status: 200, body: '{"disconnected":1}' },
      { status: 200, body: '{"disconnected":2}' },
      { status: 401, body: "a token is needed\n" },
    ];
    const server = createServer((request, response) => {
      requests.push(`${request.method} ${request.url} ${request.headers.authorization ?? "-"}`);
      const { status = 500, body = "" } = responses[requests.length - 1] ?? {};
      response.writeHead(status).end(body);
    });
    t.after(() => server.close());
    await once(server.listen(0, "127.0.0.1"), "listening");
    const { port } = server.address() as AddressInfo;
    const file = write("admin.toml", `[admin]\nlisten = "127.0.0.1:${port}"\ntoken = "operators-token-1"\n`);
    const token = await make("-c", secretFile, "--publish", "news", "--iss", "https://login.example");
    const { jti, exp } = decodeJwt(token);

    const byToken = await run(["revoke", "-c", file, token]);
    assert.deepEqual(byToken, { code: 0, stdout: "revoked; 1 stream ended on this daemon\n", stderr: "" });
    const bySubject = await run(["revoke", "-c", file, "--sub", "user-7"]);
    assert.equal(bySubject.stdout, "revoked; 2 streams ended on this daemon\n", bySubject.stderr);
    const refused = await run(["revoke", "-c", file, "--jti", "7"]);
    assert.notEqual(refused.code, 0);
    assert.match(refused.stderr, /401: a token is needed/);
    assert.deepEqual(requests, [
      `POST /revoke?jti=${jti}&iss=https%3A%2F%2Flogin.example&exp=${exp} Bearer operators-token-1`,
      "POST /revoke?sub=user-7 Bearer operators-token-1",
      "POST /revoke?jti=7 Bearer operators-token-1",
    ]);
  });

  test("says what to do when a token cannot be revoked", async () => {
    const off = write("off.toml", '[admin]\nlisten = ""\n');
    const closed = write("closed.toml", '[admin]\nlisten = "127.0.0.1:9"\n');
    const withoutJti = `${Buffer.from('{"alg":"HS256"}').toString("base64url")}.${Buffer.from('{"sub":"a"}').toString("base64url")}.AA`;
    const failures: readonly [args: readonly string[], message: RegExp][] = [
      [["-c", off, "--sub", "a"], /\[admin\] listen is ""; fix: set it/],
      [["-c", closed, "--sub", "a"], /m2push does not answer at http:\/\/127\.0\.0\.1:9; fix: is the daemon running/],
      [["-c", closed, withoutJti], /the token has no jti; fix: revoke its holder with --sub/],
      [["-c", closed, "no-token"], /not a JWT; fix: pass a token of three parts/],
    ];
    for (const [args, message] of failures) {
      const { code, stderr } = await run(["revoke", ...args]);
      assert.notEqual(code, 0);
      assert.match(stderr, message);
    }
  });
});

const fixedClock = (now: number) => ({
  now: () => now,
  monotonic: () => 0,
  after: () => () => {},
  every: () => () => {},
});
