import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { parseConfigDocument } from "../../src/config/config-document.js";
import { faultTexts } from "../../src/config/fault-texts.js";
import { buildConfig, type LoadedConfig, type LoadOptions } from "../../src/config/load-config.js";
import { printConfig } from "../../src/config/print-config.js";
import { namedKeys, sections, tableArrays } from "../../src/config/schema.js";
import { SECTION_DOCS } from "../../src/config/section-docs.js";

function load(toml: string, options: LoadOptions = {}): LoadedConfig {
  return buildConfig(parseConfigDocument(toml, "f.toml", "/srv"), { cwd: "/srv", ...options });
}

describe("printConfig", () => {
  test("prints every key with its description, its form and the source of its value", () => {
    const printed = printConfig(
      load("[stream]\nretry = '2s'\n", { env: { M2PUSH_LOG_LEVEL: "debug" }, flags: { "history.path": "d" } }),
    );
    for (const keys of [...Object.values(tableArrays), ...Object.values(sections)]) {
      for (const [name, key] of Object.entries(keys)) {
        assert.ok(printed.includes(`# ${key.doc}\n`), name);
        assert.match(printed, new RegExp(`^(# )?${name} =`, "m"));
      }
    }
    assert.match(printed, /^retry = "2s" {2}# f\.toml:2$/m);
    assert.match(printed, /^level = "debug" {2}# M2PUSH_LOG_LEVEL$/m);
    assert.match(printed, /^path = "\/srv\/d" {2}# --history-path$/m);
    assert.match(printed, /^max_bytes = "256MB" {2}# default$/m);
    assert.match(printed, /^# control = {2}# default$/m);
    assert.match(printed, /from 10ms to 1d; 0 = off\. Default: "15s"\.$/m);
    for (const [section, doc] of Object.entries(SECTION_DOCS))
      assert.ok(
        printed.includes(`# ${doc}\n${["topic", "issuer", "webhook"].includes(section) ? "# " : ""}[`),
        section,
      );
  });

  test("each topic table is printed with the lines of its values, and loads again", () => {
    const loaded = load(
      "[[topic]]\ntopic = 'a'\nmax_events = 5\nkeep = 'last'\n[[topic]]\ntemplate = 'b/{id}'\nttl = '90s'\nanonymous = false\n",
    );
    const printed = printConfig(loaded);
    assert.match(printed, /^topic = "a" {2}# f\.toml:2$/m);
    assert.match(printed, /^max_events = 5 {2}# f\.toml:3$/m);
    assert.match(printed, /^template = "b\/\{id\}" {2}# f\.toml:6$/m);
    assert.match(printed, /^ttl = "90s" {2}# f\.toml:7$/m);
    assert.deepEqual(load(printed).config, loaded.config);
  });

  test("each issuer table is printed, its keys masked, and loads again", () => {
    const printed = printConfig(
      load(
        "[[issuer]]\nname = 'a'\nissuer = 'https://a.example'\njwks_url = 'https://a.example/jwks'\n[[issuer]]\nissuer = 'b'\nkeys = 's3cret'\naudience = ['x']\n",
      ),
    );
    assert.match(printed, /^jwks_url = "https:\/\/a\.example\/jwks" {2}# f\.toml:4$/m);
    assert.match(printed, /^keys = "\*\*\*" {2}# f\.toml:7$/m);
    assert.match(printed, /^audience = \["x"\]/m);
  });

  test("a secret and a password are masked, the path of a key file is not", () => {
    const printed = printConfig(
      load(
        "[auth]\npublisher_key = 's3cret'\nsubscriber_key = 'keys/sub.pem'\n[cluster]\nnats = ['nats://me:s3cret@host:4222']\npassword = 's3cret'\ntoken = 's3cret'\ntls_ca = 'ca.pem'\n",
      ),
    );
    assert.doesNotMatch(printed, /s3cret/);
    assert.match(printed, /^publisher_key = "\*\*\*"/m);
    assert.match(printed, /^subscriber_key = "\/srv\/keys\/sub\.pem"/m);
    for (const name of ["password", "token"]) assert.match(printed, new RegExp(`^${name} = "\\*\\*\\*"`, "m"));
    assert.match(printed, /^tls_ca = "\/srv\/ca\.pem"/m);
    assert.match(printed, /^nats = \["nats:\/\/\*\*\*@host:4222"\]/m);
  });

  test("a printed placeholder of a secret is rejected as a key", () => {
    const printed = printConfig(load("[auth]\npublisher_key = 's3cret'\n"));
    assert.throws(
      () => load(printed),
      new RegExp(
        `publisher_key: ${faultTexts.expected("a key", "[*]{3}, the placeholder of a printed configuration")}`,
      ),
    );
  });

  /** Texts of values, most of them valid for some keys; documents that do not load are skipped. */
  const texts: Record<string, fc.Arbitrary<string>> = {
    "stream.retry": fc.integer({ min: 1, max: 86_400_000 }).map((ms) => `${ms}ms`),
    "stream.heartbeat": fc.constantFrom("0", "1s", "90s"),
    "stream.max_clients": fc.nat({ max: 100_000_000 }).map(String),
    "stream.path": fc.stringMatching(/^\/[a-z/]{1,9}$/),
    "beacon.topic": fc.string({ unit: "grapheme", minLength: 1 }),
    "history.path": fc.string({ unit: "grapheme", minLength: 1 }),
    "history.max_bytes": fc.integer({ min: 100_000, max: 1_000_000_000 }).map((bytes) => `${bytes}B`),
    "publish.zmq": fc.constantFrom("", "ipc://a b", "tcp://*:1"),
    "auth.anonymous": fc.constantFrom("true", "false"),
  };

  test("what is printed loads again as the same configuration", () => {
    let loadedOnce = 0;
    const flags = fc.record(texts, { requiredKeys: [] });
    fc.assert(
      fc.property(flags, (given) => {
        const loaded = tryLoad(given);
        if (loaded === undefined) return;
        loadedOnce++;
        assert.deepEqual(load(printConfig(loaded)).config, loaded.config);
      }),
    );
    assert.ok(loadedOnce > 10);
  });

  function tryLoad(flags: Record<string, string | undefined>): LoadedConfig | undefined {
    try {
      return load("[[mongrel2]]\nname = 'a'\ncontrol = 'ipc://c'\n[cluster]\nnats = ['nats://h']\n", { flags });
    } catch {
      return undefined;
    }
  }

  test("every key outside [[mongrel2]] has a flag and a variable of the contract's form", () => {
    const maxClients = namedKeys.find(({ path }) => path === "stream.max_clients");
    assert.equal(maxClients?.flag, "--stream-max-clients");
    assert.equal(maxClients?.variable, "M2PUSH_STREAM_MAX_CLIENTS");
    for (const name of ["flag", "variable"] as const) {
      assert.equal(new Set(namedKeys.map((key) => key[name])).size, namedKeys.length);
    }
  });
});
