import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { addKeygen } from "../../src/cli/keygen-command.js";
import { curvePublicKeyType } from "../../src/config/curve-types.js";
import { load } from "../config/harness.js";
import { runCommand } from "./harness.js";

describe("Keygen command", () => {
  test("prints a new pair of CURVE keys as TOML, in the form that the configuration takes", async () => {
    const runs = [await runCommand(addKeygen, ["keygen", "curve"]), await runCommand(addKeygen, ["keygen", "curve"])];
    const keys = runs.flatMap(({ code, stdout }) => {
      assert.equal(code, 0);
      const [, publicKey = "", secretKey = ""] = /^public_key = "(.+)"\nsecret_key = "(.+)"\n$/.exec(stdout) ?? [];
      return [publicKey, secretKey];
    });
    for (const key of keys) assert.equal(curvePublicKeyType.read(key), key);
    assert.equal(new Set(keys).size, 4);
  });

  test("prints a secret for a webhook that the configuration takes", async () => {
    const { stdout } = await runCommand(addKeygen, ["keygen", "webhook"]);
    const { config } = load(`[[webhook]]\nurl = "https://backend.example/"\n${stdout}`);
    assert.match(config.webhook[0]?.secret ?? "", /^whsec_[A-Za-z0-9+/]{43}=$/);
  });

  test("rejects another kind", async () => {
    const { code, stderr } = await runCommand(addKeygen, ["keygen", "rsa"]);
    assert.notEqual(code, 0);
    assert.match(stderr, /rsa/);
  });
});
