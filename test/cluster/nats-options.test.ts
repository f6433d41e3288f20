import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { natsOptions } from "../../src/cluster/nats-options.js";
import { loadConfig } from "../../src/config/load-config.js";
import { temporaryDirectory } from "../support/processes.js";

/** The options of a configuration file with these lines of [cluster]. */
function optionsOf(cluster: string, { history = "", folder = temporaryDirectory() } = {}) {
  const file = join(folder, "m2push.toml");
  writeFileSync(file, `[cluster]\nnats = ["nats://127.0.0.1:4222"]\n${cluster}\n[history]\n${history}\n`);
  return natsOptions(loadConfig({ file }).config);
}

describe("natsOptions", () => {
  test("takes the limits of the history, and no credentials where none are configured", () => {
    const options = optionsOf('stream = "s"', { history: 'max_events = 7\nstore = "memory"' });
    assert.deepEqual([options.stream, options.inMemory, options.limits.maxEvents], ["s", true, 7]);
    assert.deepEqual(
      ["user", "password", "token", "credentials", "tls"].filter((name) => name in options),
      [],
    );
  });

  test("reads users, tokens, credentials and TLS files", () => {
    const folder = temporaryDirectory();
    for (const name of ["creds", "ca.pem", "cert.pem", "key.pem"]) writeFileSync(join(folder, name), name);
    const { user, password } = optionsOf('user = "u"\npassword = "p"');
    assert.deepEqual([user, password], ["u", "p"]);
    assert.equal(optionsOf('token = "t"').token, "t");
    assert.equal(String(optionsOf('credentials = "creds"', { folder }).credentials), "creds");
    const files = 'tls_ca = "ca.pem"\ntls_cert = "cert.pem"\ntls_key = "key.pem"';
    const { ca, cert, key } = optionsOf(files, { folder }).tls ?? {};
    assert.deepEqual([ca, cert, key].map(String), ["ca.pem", "cert.pem", "key.pem"]);
  });

  test("rejects a file that cannot be read, with its setting and path", () => {
    const folder = temporaryDirectory();
    assert.throws(() => optionsOf('tls_ca = "missing.pem"', { folder }), {
      code: "config_invalid",
      message: new RegExp(`^cluster\\.tls_ca: ${folder}/missing\\.pem cannot be read: ENOENT`),
    });
  });
});
