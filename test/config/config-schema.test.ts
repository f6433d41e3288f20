/** The schema accepts what the loader accepts, and editors that read it find mistakes. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { Ajv2020 } from "ajv/dist/2020.js";
import { parse } from "smol-toml";
import { schemaText } from "../../src/cli/config-command.js";
import { printConfig } from "../../src/config/print-config.js";
import { namedKeys, tableArrays } from "../../src/config/schema.js";
import { PROJECT, removeDirectory, temporaryDirectory } from "../support/processes.js";
import { load } from "./harness.js";

const validate = new Ajv2020({ strict: true, allErrors: true }).compile(JSON.parse(schemaText()));
const faults = (toml: string): string[] => {
  validate(JSON.parse(JSON.stringify(parse(toml))));
  return (validate.errors ?? []).map(({ instancePath, message }) => `${instancePath} ${message}`);
};
const projectFile = (path: string) => readFileSync(join(PROJECT, path), "utf8");
const EXAMPLES = ["config/m2push.toml", "packaging/etc/m2push.toml"];

describe("The schema of the configuration", () => {
  test("is in config/m2push.schema.json; fix: npm run docs", () => {
    assert.equal(projectFile("config/m2push.schema.json"), schemaText());
  });

  test("has every key with its documentation", () => {
    const { properties } = JSON.parse(schemaText());
    for (const { path, key } of namedKeys) {
      const [section = "", name = ""] = path.split(".");
      assert.ok(properties[section].properties[name].description.startsWith(key.doc), path);
    }
    for (const [array, keys] of Object.entries(tableArrays))
      assert.deepEqual(Object.keys(properties[array].items.properties), Object.keys(keys));
  });

  test("accepts every default, and the files that come with m2push", () => {
    assert.deepEqual(faults(printConfig(load(""))), []);
    for (const path of EXAMPLES) assert.deepEqual(faults(projectFile(path)), [], path);
  });

  for (const toml of [
    '[[topic]]\ntopic = "news"\nkeep = "last"\nttl = "2m"\nrate = 10\n[[topic]]\ntemplate = "chat/{room}"\nprivate = true',
    '[stream]\nheartbeat = 0\nmax_lifetime = "1d"\ntrusted_proxies = ["10.0.0.0/8", "::1"]\nmax_clients = 0',
    '[auth]\ncors_origins = ["*"]\nallow_publish_from = ["127.0.0.1"]\npublisher_key = "a secret of more than thirty-two bytes"',
    '[[issuer]]\nname = "one"\nissuer = "https://issuer.example"\njwks_url = "https://issuer.example/jwks"',
    '[history]\nmax_bytes = "64MiB"\nmax_age = "7d"\nstore = "memory"\n[log]\nlevel = "warn"',
    '[hub]\norigin = "https://www.example.com"\npath = "/hub"\nhosts = ["www.example.com", "[::1]"]\n[publish]\nzmq = ""',
  ]) {
    test(`accepts what the loader accepts: ${toml.split("\n")[0]}`, () => {
      assert.ok(load(toml));
      assert.deepEqual(faults(toml), []);
    });
  }

  for (const [toml, fault] of [
    ["[stream]\nmax_client = 1", "/stream must NOT have additional properties"],
    ["[streams]\nmax_clients = 1", " must NOT have additional properties"],
    ['[stream]\nmax_clients = "many"', "/stream/max_clients must be integer"],
    ["[stream]\nmax_clients = -1", "/stream/max_clients must be >= 0"],
    ['[history]\nmax_age = "soon"', "/history/max_age must match pattern"],
    ['[history]\nmax_bytes = "64"', "/history/max_bytes must match pattern"],
    ['[history]\nstore = "disk"', "/history/store must be equal to one of the allowed values"],
    ['[[mongrel2]]\nsend_spec = "127.0.0.1:9999"', "/mongrel2/0/send_spec must match pattern"],
    ['[auth]\ncors_origins = "*"', "/auth/cors_origins must be array"],
  ] as const) {
    test(`rejects what the loader rejects: ${JSON.stringify(toml)}`, () => {
      assert.throws(() => load(toml));
      assert.ok(
        faults(toml).some((it) => it.startsWith(fault)),
        faults(toml).join("; "),
      );
    });
  }
});

describe("Taplo, which editors use,", () => {
  const dir = temporaryDirectory();
  after(() => removeDirectory(dir));

  test("finds the schema by the first line, nothing wrong with the shipped file, and every mistake of another one", () => {
    assert.match(projectFile("config/m2push.toml"), /^#:schema \.\/m2push\.schema\.json\n/);
    const installed = /^#:schema \/usr\/share\/doc\/m2push\/examples\/m2push\.schema\.json\n/;
    assert.match(projectFile("packaging/etc/m2push.toml"), installed);
    writeFileSync(join(dir, "m2push.schema.json"), schemaText());
    const wrong = join(dir, "wrong.toml");
    writeFileSync(wrong, "#:schema ./m2push.schema.json\n[stream]\nmax_client = 1\nmax_per_address = -1\n");
    const program = join(PROJECT, "node_modules/@taplo/cli/dist/cli.js");
    const { status, stdout, stderr } = spawnSync(process.execPath, [program, "lint", "config/m2push.toml", wrong], {
      cwd: PROJECT,
      encoding: "utf8",
    });
    const output = stdout + stderr;
    assert.notEqual(status, 0);
    assert.match(output, /wrong\.toml[\s\S]*max_client/);
    assert.match(output, /-1/);
    assert.doesNotMatch(output, /config\/m2push\.toml/);
  });
});
