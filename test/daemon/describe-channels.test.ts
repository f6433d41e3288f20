import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { describe, test } from "node:test";
import { Ajv } from "ajv";
import { describeChannels } from "../../src/daemon/describe-channels.js";
import { load } from "../config/harness.js";
import { PROJECT } from "../support/processes.js";

const document = (toml = "") => JSON.parse(JSON.stringify(describeChannels("1.2.3", load(toml).config)));
const BOTH = '[publish]\nzmq = "tcp://127.0.0.1:9997"\n[events]\nzmq = "tcp://127.0.0.1:9995"';

describe("The AsyncAPI document", () => {
  test("is valid by the schema of AsyncAPI 3, with and without the ZeroMQ sockets", () => {
    const schema = createRequire(import.meta.url)("@asyncapi/specs/schemas/3.0.0-without-$id.json");
    const ajv = new Ajv({ strict: false, validateFormats: false });
    const validate = ajv.compile(schema);
    for (const toml of ["", BOTH, '[publish]\nzmq = ""'])
      assert.ok(validate(document(toml)), ajv.errorsText(validate.errors));
  });

  test("has the channels of the configured addresses, and none of those that are switched off", () => {
    assert.deepEqual(Object.keys(document(BOTH).channels), ["stream", "hub", "publish", "replies", "clientEvents"]);
    assert.deepEqual(Object.keys(document('[publish]\nzmq = ""').channels), ["stream", "hub"]);
    assert.equal(document('[stream]\npath = "/mine"').channels.stream.address, "/mine");
    assert.equal(document(BOTH).servers.backends.host, "127.0.0.1:9995");
  });

  test("has every type of event that delivery makes; fix: add it to NOTICES in src/daemon/describe-channels.ts", () => {
    const folder = join(PROJECT, "src/delivery");
    const source = readdirSync(folder).map((file) => readFileSync(join(folder, file), "utf8"));
    const made = [...source.join("\n").matchAll(/type: "(m2push-[a-z]+)"/g)].map(([, type]) => type);
    const { event: _, ...notices } = document().channels.stream.messages;
    assert.deepEqual(Object.keys(notices).sort(), [...new Set(made)].sort());
  });
});
