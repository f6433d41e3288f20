import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { type LoadOptions, loadConfig } from "../../src/config/load-config.js";
import { restartKeys } from "../../src/config/restart-keys.js";
import type { Config } from "../../src/config/schema.js";
import { load } from "./harness.js";

const configWith = (flags: LoadOptions["flags"] = {}): Config => loadConfig({ cwd: "/srv", flags }).config;

describe("restartKeys", () => {
  test("two readings of the same configuration need no restart", () => {
    assert.deepEqual(restartKeys(configWith(), configWith()), []);
  });

  test("of the changed keys those are named that take effect only with a restart", () => {
    const next = configWith({ "stream.retry": "1s", "log.level": "debug", "publish.zmq": "", "history.max_age": "1h" });
    assert.deepEqual(restartKeys(configWith(), next), ["publish.zmq", "history.max_age"]);
  });

  test("a change of the topics needs none", () => {
    const running = configWith();
    const { config: next } = load("[[topic]]\ntopic = 'a'\nkeep = 'last'\n");
    assert.deepEqual(restartKeys(running, { ...running, topic: next.topic }), []);
  });

  test("any change of the servers needs a restart", () => {
    const running = configWith();
    const next: Config = { ...running, mongrel2: [{ ...running.mongrel2[0], max_targets: 64 }] };
    assert.deepEqual(restartKeys(running, next), ["mongrel2"]);
  });
});
