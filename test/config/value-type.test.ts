import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { parse } from "smol-toml";
import {
  addressRange,
  bearerToken,
  filePath,
  keyForm,
  keyMaterial,
  listenAddress,
  natsServer,
  optionalPath,
  origin,
  parentPath,
  plainText,
  secretText,
  spec,
  urlPath,
} from "../../src/config/text-types.js";
import {
  booleanType,
  choice,
  duration,
  Invalid,
  integer,
  list,
  quote,
  show,
  size,
  text,
  type ValueType,
} from "../../src/config/value-type.js";

/** For each kind: what it reads, with the result where that is something else; and what it refuses. */
const CASES: [name: string, kind: ValueType<unknown>, good: unknown[], bad: unknown[]][] = [
  ["truth", booleanType, [true, false], ["true", 1, 0, "", undefined]],
  ["integer", integer(1, 9), [1, 9], [0, 10, 1.5, "5", Number.NaN, 5n, null]],
  ["choice", choice("lmdb", "memory"), ["lmdb", "memory"], ["LMDB", "", 1, "constructor"]],
  ["text", text("a word", /^[a-z]+$/), ["abc"], ["", "A", 1, "a b", "a\n"]],
  ["list", list(integer(0, 9), "digits"), [[], [1, 2]], [1, "1", [10], [1, 1], [[1]], {}]],
  [
    "spec",
    spec(),
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
  ["spec that may be off", spec({ off: true }), ["", "tcp://a:1"], [" ", "off", false]],
  [
    "listenAddress",
    listenAddress,
    ["", "127.0.0.1:6780", "[::1]:0", "localhost:80"],
    ["6780", ":6780", "*:80", "a:65536", "http://a:1", 6780],
  ],
  [
    "urlPath",
    urlPath,
    ["/", "/esupdates", "/.well-known/mercure", "/a%20b", "/a/"],
    ["", "a", "//a", "/a//b", "/a/../b", "/.", "/a?b", "/a#b", "/a b", "/é", 1],
  ],
  ["parentPath", parentPath, ["/.well-known/mercure", "/a/b"], ["/", "/a/", "a", "/a?b", 1]],
  ["filePath", filePath, ["data", "/var/lib/m2push", "a b"], ["", "a\0b", 1]],
  [
    "keyMaterial",
    keyMaterial,
    ["", "secret", "-----BEGIN PUBLIC KEY-----\nx", "./jwks.json", "[odd"],
    [1, "a\0", "***", '{"keys":[]}', " {\n} "],
  ],
  [
    "addressRange",
    addressRange,
    ["127.0.0.1", "::1", "10.0.0.0/8", "fd00::/8"],
    ["localhost", "10.0.0.0/33", "10.0.0.0/", "::1%lo", "127.0.0.1:80", "", 1],
  ],
  [
    "origin",
    origin,
    ["*", "https://example.com", "http://localhost:6767"],
    ["https://example.com/", "example.com", "HTTPS://a", "https://a:443", "null", "", 1],
  ],
  [
    "natsServer",
    natsServer,
    ["nats://127.0.0.1:4222", "tls://u:p@h"],
    ["127.0.0.1:4222", "http://h", "ws://h", "nats://", "", 1],
  ],
  ["optionalPath", optionalPath, ["", "nats.creds", "/etc/m2push/ca.pem"], ["a\0b", 1, null]],
  ["plainText", plainText, ["", "me", "ü 1"], ["a\nb", "\0", 1]],
  ["secretText", secretText, ["", "s3cret", "with blanks"], ["***", "a\nb", 1]],
  [
    "bearerToken",
    bearerToken,
    ["", "0123456789abcdef", "AZaz09._~+/=-AZaz09"],
    ["0123456789abcde", "***", "with blanks in it", "ümlaut-ümlaut-ümlaut", "a".repeat(513), 1],
  ],
];

for (const [name, kind, good, bad] of CASES) {
  test(`${name} reads its own values and refuses the others`, () => {
    for (const value of good) assert.deepEqual(kind.read(value), value, String(value));
    for (const value of bad) assert.ok(kind.read(value) instanceof Invalid, String(value));
  });

  test(`${name} takes anything without an error, and what it takes is printed in a form that it reads back`, () => {
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
  const kind = duration({ min: 1_000, max: 60_000 });
  assert.equal(kind.read("5s"), 5_000);
  for (const wrong of ["999ms", "61s", "0", 0, 5, "5 sec"])
    assert.ok(kind.read(wrong) instanceof Invalid, String(wrong));
  const withOff = duration({ min: 1_000, max: 60_000, off: true });
  for (const off of ["0", 0, "0s"]) assert.equal(withOff.read(off), 0);
  for (const wrong of ["999ms", 5, -0.5]) assert.ok(withOff.read(wrong) instanceof Invalid, String(wrong));
});

test("a size reads bytes within its range", () => {
  const kind = size(1_000, 1_000_000);
  assert.equal(kind.read("64KiB"), 65_536);
  for (const wrong of ["999B", "2MB", "64 kB", 64_000, 0])
    assert.ok(kind.read(wrong) instanceof Invalid, String(wrong));
});

test("relative paths become absolute, from the folder given", () => {
  assert.equal(filePath.resolve?.("../data", "/srv/config"), "/srv/data");
  assert.equal(filePath.resolve?.("/data", "/srv"), "/data");
  assert.equal(spec().resolve?.("ipc://../run/control", "/srv/config"), "ipc:///srv/run/control");
  assert.equal(spec().resolve?.("ipc://@m2push", "/srv"), "ipc://@m2push");
  assert.equal(spec().resolve?.("tcp://a:1", "/srv"), "tcp://a:1");
  assert.equal(keyMaterial.resolve?.("keys/jwks.json", "/srv"), "/srv/keys/jwks.json");
  assert.equal(keyMaterial.resolve?.("a secret", "/srv"), "a secret");
});

test("an ipc path that a Unix socket cannot have is refused, by its absolute length", () => {
  assert.ok(spec().resolve?.("ipc://socket", `/${"x".repeat(99)}`) === `ipc:///${"x".repeat(99)}/socket`);
  assert.ok(spec().resolve?.("ipc://socket", `/${"x".repeat(100)}`) instanceof Invalid);
  assert.ok(spec().resolve?.("ipc://socket", `/${"é".repeat(60)}`) instanceof Invalid);
});

test("a key is told apart from the path of a key file by its form", () => {
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
  assert.equal(keyMaterial.print("s3cret"), '"***"');
  assert.equal(keyMaterial.print("-----BEGIN PRIVATE KEY-----"), '"***"');
  assert.equal(keyMaterial.print("/hcyBpcyBhIHNlY3JldA=="), '"***"', "base64 that begins like a path");
  assert.equal(keyMaterial.print("/srv/jwks.json"), '"/srv/jwks.json"');
  assert.equal(keyMaterial.print(""), '""');
});

test("a value is shown on one line, cut, and without a password", () => {
  assert.equal(show("nats://user:word@host:4222"), '"nats://***@host:4222"');
  assert.equal(show("a\nb"), '"a\\nb"');
  assert.ok(show("x".repeat(10_000)).length < 100);
  fc.assert(fc.property(fc.anything(), (value) => !/[\n\r]/.test(show(value))));
});

test("any text survives quoting as TOML", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), (value) => {
      assert.equal(parse(`a = ${quote(value)}`).a, value);
    }),
  );
});
