import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { parse } from "smol-toml";
import {
  booleanType,
  choiceType,
  durationType,
  integerType,
  listType,
  plainTextType,
  sizeType,
  textType,
} from "../../src/config/basic-types.js";
import { endpointType, listenAddressType } from "../../src/config/endpoint-types.js";
import { keyForm } from "../../src/config/key-form.js";
import { addressRangeType, corsOriginType, natsServerType } from "../../src/config/network-types.js";
import { filePathType, optionalPathType, parentPathType, urlPathType } from "../../src/config/path-types.js";
import { bearerTokenType, keyMaterialType, secretTextType } from "../../src/config/secret-types.js";
import { showValue, tomlString } from "../../src/config/show-value.js";
import { Invalid, type ValueType } from "../../src/config/value-type.js";
import { anyCharacter } from "../support/arbitraries.js";

/** For each kind: what it reads, with the result where that is something else; and what it refuses. */
const CASES: [name: string, kind: ValueType<unknown>, good: unknown[], bad: unknown[]][] = [
  ["truth", booleanType, [true, false], ["true", 1, 0, "", undefined]],
  ["integer", integerType(1, 9), [1, 9], [0, 10, 1.5, "5", Number.NaN, 5n, null]],
  ["choice", choiceType("lmdb", "memory"), ["lmdb", "memory"], ["LMDB", "", 1, "constructor"]],
  ["text", textType("a word", /^[a-z]+$/), ["abc"], ["", "A", 1, "a b", "a\n"]],
  ["list", listType(integerType(0, 9), "digits"), [[], [1, 2]], [1, "1", [10], [1, 1], [[1]], {}]],
  [
    "spec",
    endpointType(),
    ["tcp://127.0.0.1:1", "tcp://host.example:65535", "tcp://*:99", "tcp://[::1]:99", "ipc://a/b", "ipc://@abstract"],
    [
      "",
      "tcp://127.0.0.1",
      "tcp://:99",
      "tcp://a:0",
      "tcp://a:65536",
      "tcp://a b:1",
      "127.0.0.1:99",
      "ipc://",
      "udp://a:1",
      "ipc://a\0b",
      9999,
    ],
  ],
  ["spec that may be off", endpointType({ off: true }), ["", "tcp://a:1"], [" ", "off", false]],
  [
    "listenAddress",
    listenAddressType,
    ["", "127.0.0.1:6780", "[::1]:0", "localhost:80"],
    ["6780", ":6780", "*:80", "a:65536", "http://a:1", 6780],
  ],
  [
    "urlPath",
    urlPathType,
    ["/", "/esupdates", "/.well-known/mercure", "/a%20b", "/a/"],
    ["", "a", "//a", "/a//b", "/a/../b", "/.", "/a?b", "/a#b", "/a b", "/é", 1],
  ],
  ["parentPath", parentPathType, ["/.well-known/mercure", "/a/b"], ["/", "/a/", "a", "/a?b", 1]],
  ["filePath", filePathType, ["data", "/var/lib/m2push", "a b"], ["", "a\0b", 1]],
  [
    "keyMaterial",
    keyMaterialType,
    ["", "secret", "-----BEGIN PUBLIC KEY-----\nx", "./jwks.json", "[odd"],
    [1, "a\0", "***", '{"keys":[]}', " {\n} "],
  ],
  [
    "addressRange",
    addressRangeType,
    ["127.0.0.1", "::1", "10.0.0.0/8", "fd00::/8"],
    ["localhost", "10.0.0.0/33", "10.0.0.0/", "::1%lo", "127.0.0.1:80", "", 1],
  ],
  [
    "origin",
    corsOriginType,
    ["*", "https://example.com", "http://localhost:6767"],
    ["https://example.com/", "example.com", "HTTPS://a", "https://a:443", "null", "", 1],
  ],
  [
    "natsServer",
    natsServerType,
    ["nats://127.0.0.1:4222", "tls://u:p@h"],
    ["127.0.0.1:4222", "http://h", "ws://h", "nats://", "", 1],
  ],
  ["optionalPath", optionalPathType, ["", "nats.creds", "/etc/m2push/ca.pem"], ["a\0b", 1, null]],
  ["plainText", plainTextType, ["", "me", "ü 1"], ["a\nb", "\0", 1]],
  ["secretText", secretTextType, ["", "s3cret", "with blanks"], ["***", "a\nb", 1]],
  [
    "bearerToken",
    bearerTokenType,
    ["", "0123456789abcdef", "AZaz09._~+/=-AZaz09"],
    ["0123456789abcde", "***", "with blanks in it", "ümlaut-ümlaut-ümlaut", "a".repeat(513), 1],
  ],
];

describe("ValueType", () => {
  for (const [name, kind, good, bad] of CASES) {
    test(`${name} reads its own values and rejects the others`, () => {
      for (const value of good) assert.deepEqual(kind.read(value), value, String(value));
      for (const value of bad) assert.ok(kind.read(value) instanceof Invalid, String(value));
    });

    test(`${name} accepts any value without throwing, and reads back what it prints`, () => {
      const any = fc.oneof(fc.anything(), fc.string(), fc.constantFrom(...good, ...bad));
      fc.assert(
        fc.property(any, (value) => {
          const read = kind.read(value);
          if (read instanceof Invalid || read === null || read === undefined || kind.secret === true) return;
          assert.deepEqual(kind.read(parse(`a = ${kind.print(read)}`).a), name === "natsServer" ? masked(read) : read);
        }),
      );
    });
  }

  const masked = (address: unknown): string => String(address).replace(/\/\/[^/]*@/, "//***@");

  test("a duration reads milliseconds within its range, and 0 only where that means off", () => {
    const kind = durationType({ min: 1_000, max: 60_000 });
    assert.equal(kind.read("5s"), 5_000);
    for (const wrong of ["999ms", "61s", "0", 0, 5, "5 sec"])
      assert.ok(kind.read(wrong) instanceof Invalid, String(wrong));
    const withOff = durationType({ min: 1_000, max: 60_000, off: true });
    for (const off of ["0", 0, "0s"]) assert.equal(withOff.read(off), 0);
    for (const wrong of ["999ms", 5, -0.5]) assert.ok(withOff.read(wrong) instanceof Invalid, String(wrong));
  });

  test("a size reads bytes within its range", () => {
    const kind = sizeType(1_000, 1_000_000);
    assert.equal(kind.read("64KiB"), 65_536);
    for (const wrong of ["999B", "2MB", "64 kB", 64_000, 0])
      assert.ok(kind.read(wrong) instanceof Invalid, String(wrong));
  });

  test("relative paths become absolute, from the folder given", () => {
    assert.equal(filePathType.resolve?.("../data", "/srv/config"), "/srv/data");
    assert.equal(filePathType.resolve?.("/data", "/srv"), "/data");
    assert.equal(endpointType().resolve?.("ipc://../run/control", "/srv/config"), "ipc:///srv/run/control");
    assert.equal(endpointType().resolve?.("ipc://@m2push", "/srv"), "ipc://@m2push");
    assert.equal(endpointType().resolve?.("tcp://a:1", "/srv"), "tcp://a:1");
    assert.equal(keyMaterialType.resolve?.("keys/jwks.json", "/srv"), "/srv/keys/jwks.json");
    assert.equal(keyMaterialType.resolve?.("a secret", "/srv"), "a secret");
  });

  test("an ipc path that a Unix socket cannot have is refused, by its absolute length", () => {
    assert.ok(endpointType().resolve?.("ipc://socket", `/${"x".repeat(99)}`) === `ipc:///${"x".repeat(99)}/socket`);
    assert.ok(endpointType().resolve?.("ipc://socket", `/${"x".repeat(100)}`) instanceof Invalid);
    assert.ok(endpointType().resolve?.("ipc://socket", `/${"é".repeat(60)}`) instanceof Invalid);
  });

  test("a key is distinguished from the path of a key file by its form", () => {
    const forms: [string, string][] = [
      ["", "none"],
      ["!ChangeThisMercureHubJWTSecretKey!", "secret"],
      ["dGhpcyBpcy/hIHNlY3JldA==", "secret"],
      ["/hcyBpcyBhIHNlY3JldCBhbmQgbG9uZyBlbm91Z2gh=", "secret"],
      ["/q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQ+83vEjRWeJA", "secret"],
      ["/q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA", "secret"],
      ["/run/credentials/key", "file"],
      ["/etc/averylongnameofafolderwithoutanydotordash/key", "file"],
      ["./key", "file"],
      ["../data/publisher", "file"],
      ["jwks.json", "file"],
      ["keys/public.pem", "file"],
      ["-----BEGIN PUBLIC KEY-----\nMII/\n-----END PUBLIC KEY-----", "pem"],
    ];
    for (const [value, form] of forms) assert.equal(keyForm(value), form, value);
  });

  test("a secret is printed as stars, the path of a key file as itself", () => {
    assert.equal(keyMaterialType.print("s3cret"), '"***"');
    assert.equal(keyMaterialType.print("-----BEGIN PRIVATE KEY-----"), '"***"');
    assert.equal(keyMaterialType.print("/hcyBpcyBhIHNlY3JldA=="), '"***"', "base64 that begins like a path");
    assert.equal(keyMaterialType.print("/srv/jwks.json"), '"/srv/jwks.json"');
    assert.equal(keyMaterialType.print(""), '""');
  });

  test("a value is shown on one line, cut, and without a password", () => {
    assert.equal(showValue("nats://user:word@host:4222"), '"nats://***@host:4222"');
    assert.equal(showValue("a\nb"), '"a\\nb"');
    assert.ok(showValue("x".repeat(10_000)).length < 100);
    fc.assert(fc.property(fc.anything(), (value) => !/[\n\r]/.test(showValue(value))));
  });

  test("any text survives quoting as TOML", () => {
    fc.assert(
      fc.property(fc.string({ unit: anyCharacter }), (value) => {
        assert.equal(parse(`a = ${tomlString(value)}`).a, value);
      }),
    );
  });
});
