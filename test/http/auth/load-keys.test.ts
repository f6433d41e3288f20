import assert from "node:assert/strict";
import { createPublicKey, generateKeyPairSync } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { M2pushError } from "../../../src/errors.js";
import { loadKeys } from "../../../src/http/auth/load-keys.js";
import { EC, ED, granted, RSA, SECRET, sign, verifier } from "./tokens.js";

/** Self-signed, and the key in it. */
const CERTIFICATE = `-----BEGIN CERTIFICATE-----
MIIBeDCCAR+gAwIBAgIUIWJif8mciUxI8zFTKThVJOrtLV4wCgYIKoZIzj0EAwIw
ETEPMA0GA1UEAwwGaXNzdWVyMCAXDTI2MTEyMzE2Mjk0NVoYDzIxMjYxMDMwMTYy
OTQ1WjARMQ8wDQYDVQQDDAZpc3N1ZXIwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNC
AATdwH78bAuz+9OsL+ybm09kZfPLM9uSdzby6Z6m2XSkyOT82Ai+7Z32nOkRBBBW
udQe+HVn51XYaglLxD4AY8UEo1MwUTAdBgNVHQ4EFgQUGVxTwOIKEx7yCBK98dDt
+8yGvgQwHwYDVR0jBBgwFoAUGVxTwOIKEx7yCBK98dDt+8yGvgQwDwYDVR0TAQH/
BAUwAwEB/zAKBggqhkjOPQQDAgNHADBEAiArGebPyCGHE8nYHZinpGyrNbygoi5H
jwcxCdBsvbtI7QIgZT2/HG+QA1YKXKDLDNv9YUj0mcjtdcJN9rpRLpqxQog=
-----END CERTIFICATE-----`;
const CERTIFIED = `-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE3cB+/GwLs/vTrC/sm5tPZGXzyzPb
knc28umeptl0pMjk/NgIvu2d9pzpEQQQVrnUHvh1Z+dV2GoJS8Q+AGPFBA==
-----END PUBLIC KEY-----`;

const folder = mkdtempSync(join(tmpdir(), "m2push-keys-"));

describe("loadKeys", () => {
  after(() => rmSync(folder, { recursive: true }));

  function file(name: string, content: string | Buffer): string {
    const path = join(folder, name);
    writeFileSync(path, content);
    return path;
  }

  const pem = (pair: { publicKey: typeof RSA.publicKey }) =>
    pair.publicKey.export({ type: "spki", format: "pem" }).toString();
  const jwk = (pair: { publicKey: typeof RSA.publicKey }, more: object = {}) => ({
    ...pair.publicKey.export({ format: "jwk" }),
    ...more,
  });
  const load = (material: string) => loadKeys("auth.publisher_key", material);
  const algorithms = (material: string) => load(material).keys.map(({ algorithm }) => algorithm);
  const jwks = (...keys: unknown[]) => file("set.json", JSON.stringify({ keys }));

  /** Also: the fault names the setting and does not show the key. */
  function isFault(material: string, what: RegExp): void {
    assert.throws(
      () => load(material),
      (error: unknown) => {
        assert.ok(error instanceof M2pushError);
        assert.equal(error.code, "config_invalid");
        assert.match(error.message, /^auth\.publisher_key: /);
        assert.match(error.message, what);
        if (!material.startsWith(folder)) assert.ok(material.trim() === "" || !error.message.includes(material.trim()));
        return true;
      },
    );
  }

  test("no material, no keys", () => {
    assert.deepEqual(load(""), { keys: [], warnings: [] });
  });

  test("a secret is an HS256 key, and a short one a warning that does not show it", async () => {
    const { keys, warnings } = load(SECRET.toString());
    assert.deepEqual([algorithms(SECRET.toString()), warnings], [["HS256"], []]);
    granted(await verifier({ keys }).verify(await sign({ mercure: {} })));
    assert.match(
      load("!ChangeMe!").warnings.join(),
      /^auth\.publisher_key: a secret of 10 bytes can be guessed; .*openssl/,
    );
    assert.ok(!load("!ChangeMe!").warnings.join().includes("!ChangeMe!"));
    assert.equal(load("é".repeat(16)).warnings.length, 0, "bytes are counted, not characters");
  });

  test("a PEM public key or certificate is taken for its own algorithm", () => {
    assert.deepEqual([pem(RSA), pem(EC), pem(ED)].map(algorithms), [["RS256"], ["ES256"], ["EdDSA"]]);
    assert.deepEqual(algorithms(RSA.publicKey.export({ type: "pkcs1", format: "pem" }).toString()), ["RS256"]);
    assert.deepEqual(algorithms(pem(EC).replaceAll("\n", "\\n")), ["ES256"], "as in an environment variable");
    assert.deepEqual(algorithms(pem(EC).replaceAll("\n", "\r\n")), ["ES256"]);
    const [key] = load(CERTIFICATE).keys;
    assert.equal(key?.algorithm, "ES256");
    assert.ok(key.key.equals(createPublicKey(CERTIFIED)));
  });

  test("rejects a PEM block that is no verification key, with a fix", () => {
    isFault(EC.privateKey.export({ type: "pkcs8", format: "pem" }).toString(), /got a private one; .*openssl pkey/);
    isFault(EC.privateKey.export({ type: "sec1", format: "pem" }).toString(), /private/);
    isFault(pem(RSA) + pem(EC), /one PEM block, got 2; .*JWKS/);
    isFault(pem(RSA).slice(0, 200), /a whole PEM block/);
    isFault("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----", /broken PUBLIC KEY/);
    isFault("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----", /broken CERTIFICATE/);
    isFault("-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----", /got a PEM block of X509 CRL/);
    isFault(pem(generateKeyPairSync("rsa", { modulusLength: 1024 })), /at least 2048 bits, got one of 1024/);
    isFault(pem(generateKeyPairSync("ec", { namedCurve: "P-384" })), /P-256 key \(ES256\), got one on secp384r1/);
    isFault(pem(generateKeyPairSync("x25519")), /got one for x25519/);
    isFault(pem(generateKeyPairSync("rsa-pss", { modulusLength: 2048 })), /got one for rsa-pss/);
  });

  test("a public key in disguise is never taken for a secret", () => {
    const der = RSA.publicKey.export({ type: "spki", format: "der" });
    const disguises = [
      der.toString("base64"),
      der.toString("base64url"),
      RSA.publicKey.export({ type: "pkcs1", format: "der" }).toString("base64"),
      EC.publicKey.export({ type: "spki", format: "der" }).toString("base64"),
      CERTIFICATE.replace(/-----[A-Z ]+-----/g, "").trim(),
      "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIE5v me@host",
      "ecdsa-sha2-nistp256 AAAA me@host",
      "---- BEGIN SSH2 PUBLIC KEY ----\nAAAA\n---- END SSH2 PUBLIC KEY ----",
      "-----begin public key-----\nAAAA\n-----end public key-----",
    ];
    for (const text of disguises) {
      isFault(text, /got a public key that is not a PEM block/);
      isFault(file("key.pub", text), /got a public key that is not a PEM block/);
    }
  });

  test("base64 that is no key is a secret like any other", () => {
    for (const text of ["MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA", Buffer.alloc(48, 0x30).toString("base64")]) {
      assert.deepEqual(algorithms(text), ["HS256"]);
    }
  });

  test("text that can be no secret is a fault", () => {
    isFault("   ", /got white space/);
    isFault('{"keys":[]}', /the path of a JWKS file/);
    isFault("one\ntwo", /on a single line/);
  });

  test("a file has a PEM block, a JWKS, or nothing but a secret", async () => {
    assert.deepEqual(algorithms(file("rsa.pem", pem(RSA))), ["RS256"]);
    assert.deepEqual(algorithms(file("one.jwk", JSON.stringify(jwk(ED)))), ["EdDSA"]);
    const { keys } = load(file("secret.key", `${SECRET}\n`));
    granted(await verifier({ keys }).verify(await sign({ mercure: {} })));
  });

  test("a file that cannot be used is a fault that names it", () => {
    isFault(join(folder, "missing.pem"), /missing\.pem: expected a readable file \(ENOENT\)/);
    isFault(folder, /\(EISDIR\)/);
    isFault(file("empty.key", ""), /empty\.key: .*white space/);
    isFault(file("key.pub", RSA.publicKey.export({ type: "spki", format: "der" })), /got binary data; .*openssl/);
    isFault(file("large.key", "x".repeat(1_000_001)), /at most 1000000 bytes/);
    isFault(file("set.json", "{"), /text that is not JSON/);
    isFault(file("set.json", "{}"), /with a list "keys"/);
  });

  test("a JWKS has several keys, and the kid picks among them", async () => {
    const { keys, warnings } = load(
      jwks(jwk(RSA, { kid: "r", alg: "RS256", use: "sig" }), jwk(EC, { kid: "e" }), jwk(ED)),
    );
    assert.deepEqual(
      keys.map(({ algorithm, id }) => [algorithm, id]),
      [
        ["RS256", "r"],
        ["ES256", "e"],
        ["EdDSA", undefined],
      ],
    );
    assert.deepEqual(warnings, []);
    granted(await verifier({ keys }).verify(await sign({ mercure: {} }, { alg: "ES256", kid: "e" }, EC.privateKey)));
    assert.equal(
      (await verifier({ keys }).verify(await sign({ mercure: {} }, { alg: "ES256", kid: "r" }, EC.privateKey))).ok,
      false,
    );
  });

  test("a JWKS may hold secrets, so that one can follow another", async () => {
    const oct = (secret: Buffer, kid: string) => ({ kty: "oct", kid, k: secret.toString("base64url") });
    const { keys, warnings } = load(
      jwks(oct(Buffer.alloc(32, 1), "old"), oct(SECRET, "new"), oct(Buffer.from("short"), "s")),
    );
    granted(await verifier({ keys }).verify(await sign({ mercure: {} }, { kid: "new" })));
    assert.match(warnings.join(), /5 bytes/);
  });

  test("keys of a set that are for something else are left out with a warning, those for encryption without", () => {
    const others = [
      jwk(RSA, { alg: "RS512" }),
      jwk(EC, { alg: "ECDH-ES" }),
      jwk(EC, { key_ops: ["sign"] }),
      jwk(EC, { use: "tls" }),
      jwk(EC, { kid: 7 }),
      jwk(generateKeyPairSync("ec", { namedCurve: "P-521" })),
      { kty: "oct", k: "" },
      { kty: "OCT", k: "abc" },
      { kty: "EC", crv: "P-256", x: "?" },
      "x",
      null,
    ];
    const { keys, warnings } = load(jwks(...others, jwk(RSA, { use: "enc", alg: "RSA-OAEP" }), jwk(ED)));
    assert.deepEqual(
      keys.map(({ algorithm }) => algorithm),
      ["EdDSA"],
    );
    assert.equal(warnings.length, others.length);
    for (const warning of warnings) assert.match(warning, /^auth\.publisher_key: keys\[\d+\] is ignored: /);
  });

  test("a JWKS without a key that can be used, or with a private one, is a fault", () => {
    isFault(jwks(), /expected a usable key; there is none/);
    isFault(jwks(jwk(RSA, { use: "enc" })), /there is none/);
    isFault(jwks(jwk(RSA, { alg: "RS512" })), /keys\[0\] is ignored: its alg is not RS256/);
    isFault(jwks(jwk(ED), EC.privateKey.export({ format: "jwk" })), /a private one \(keys\[1\]/);
    isFault(jwks(...Array(101).fill(jwk(ED))), /at most 100 keys, got 101/);
  });
});
