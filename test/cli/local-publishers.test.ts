/** Whom `m2push up` lets publish without a token. */
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { withLocalPublishers } from "../../src/cli/local-publishers.js";
import { loadConfig } from "../../src/config/load-config.js";
import { removeDirectory, temporaryDirectory } from "../support/processes.js";

const SERVER = '[[mongrel2]]\nsend_spec = "ipc://a"\nrecv_spec = "ipc://b"\nsend_ident = "c"\n';

describe("withLocalPublishers", () => {
  const folder = temporaryDirectory();
  after(() => removeDirectory(folder));

  const publishers = (toml: string, isLoopback = true) => {
    const file = join(folder, "m2push.toml");
    writeFileSync(file, SERVER + toml);
    return withLocalPublishers(loadConfig({ file }).config, isLoopback).auth.allow_publish_from;
  };

  test("the machine itself, where nothing else is stated", () => {
    for (const origin of ["http://localhost:6767", "http://127.0.0.1", "https://[::1]:8443"])
      assert.deepEqual(publishers(`[hub]\norigin = "${origin}"`), ["127.0.0.1", "::1"]);
  });

  test("nobody where others reach Mongrel2, or the hub has a public name or a key", () => {
    assert.deepEqual(publishers("", false), []);
    for (const origin of ["https://www.example.com", "http://localhost.example", "http://10.0.0.1"])
      assert.deepEqual(publishers(`[hub]\norigin = "${origin}"`), []);
    assert.deepEqual(publishers(`[auth]\npublisher_key = "${"k".repeat(40)}"`), []);
  });

  test("those whom the configuration names", () => {
    assert.deepEqual(publishers('[auth]\nallow_publish_from = ["10.0.0.7"]'), ["10.0.0.7"]);
  });
});
