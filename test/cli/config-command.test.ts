import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { addConfig } from "../../src/cli/config-command.js";
import { faultTexts } from "../../src/config/fault-texts.js";
import { scalarKeys } from "../../src/config/schema.js";
import { runCommand } from "./harness.js";

const folder = mkdtempSync(join(tmpdir(), "m2push-cli-"));

describe("Config command", () => {
  after(() => rmSync(folder, { recursive: true }));

  test("--check says ok for a good configuration, after the implementation of each ZeroMQ address", async () => {
    const outcome = await runCommand(addConfig, ["config", "--check", "-c", "config/m2push.toml"]);
    const { stdout, ...others } = outcome;
    assert.deepEqual(others, { code: 0, stderr: "" });
    const lines = stdout.split("\n");
    assert.deepEqual(lines.slice(-2), ["ok", ""]);
    assert.match(lines[0] ?? "", /^mongrel2 "\S+" send_spec \S+: native \(the default\)$/);
  });

  test("--check warns that a stop over libzmq may lose requests", async () => {
    const given = { cwd: folder };
    writeFileSync(join(folder, "libzmq.toml"), '[zmq]\nimplementation = "libzmq"\n');
    const { code, stdout, stderr } = await runCommand(addConfig, ["config", "--check", "-c", "libzmq.toml"], given);
    assert.equal(code, 0);
    assert.match(stdout, /^mongrel2 "main" send_spec \S+: libzmq \(\[zmq\] implementation = "libzmq"\)$/m);
    assert.match(stderr, /^warning: \[\[mongrel2\]\] "main" is served over libzmq .* may lose requests/);
  });

  test("--check names a topic of a publisher that the daemon would refuse", async () => {
    const keys = `server_secret_key = "${"a".repeat(40)}"\nclient_public_key = "${"b".repeat(40)}"`;
    const entry = `[[publish.curve]]\nname = "sensors"\naddress = "tcp://127.0.0.1:9995"\n${keys}\n`;
    writeFileSync(join(folder, "curve.toml"), `${entry}topics = ["good/{id}", "hidden\\u200e"]\n`);
    const { code, stderr } = await runCommand(addConfig, ["config", "--check", "-c", "curve.toml"], { cwd: folder });
    assert.equal(code, 2);
    assert.match(
      stderr,
      /^m2push: curve\.toml:\d+: publish\.curve: \[\[publish\.curve\]\] "sensors": invalid topic "hidden.*": a selector has U\+200E/,
    );
  });

  test("--check prints every fault with file and line on standard error and has exit code 2", async () => {
    writeFileSync(join(folder, "bad.toml"), "[stream]\nretry = '5 sec'\nhartbeat = 1\n");
    const given = { cwd: folder, env: { M2PUSH_LOG_LEVEL: "loud" } };
    const { code, stdout, stderr } = await runCommand(addConfig, ["config", "--check", "-c", "bad.toml"], given);
    assert.equal(code, 2);
    assert.equal(stdout, "");
    const lines = stderr.trimEnd().split("\n");
    assert.equal(lines.length, 3);
    assert.match(String(lines[0]), /^m2push: bad\.toml:2: stream\.retry: expected a duration .*, got "5 sec"$/);
    assert.equal(lines[1], `m2push: bad.toml:3: stream.hartbeat: ${faultTexts.unknownKey("stream.heartbeat")}`);
    assert.match(String(lines[2]), /^m2push: M2PUSH_LOG_LEVEL: log\.level: .*, got "loud"$/);
  });

  test("--print, or nothing, prints the effective configuration with the sources", async () => {
    writeFileSync(join(folder, "good.toml"), "[stream]\nretry = '2s'\n");
    for (const args of [["config", "--print"], ["config"], ["config", "--check", "--print"]]) {
      const given = { cwd: folder, env: { M2PUSH_BEACON_TOPIC: "tick" } };
      const outcome = await runCommand(addConfig, [...args, "-c", "good.toml", "--stream-heartbeat", "0"], given);
      assert.equal(outcome.code, 0);
      assert.match(outcome.stdout, /^retry = "2s" {2}# good\.toml:2$/m);
      assert.match(outcome.stdout, /^topic = "tick" {2}# M2PUSH_BEACON_TOPIC$/m);
      assert.match(outcome.stdout, /^heartbeat = "0" {2}# --stream-heartbeat$/m);
      assert.match(outcome.stdout, /^level = "info" {2}# default$/m);
    }
  });

  test("every key with a single value has a flag, which the help explains", async () => {
    const { stdout } = await runCommand(addConfig, ["config", "--help"]);
    for (const { flag } of scalarKeys) assert.ok(stdout.includes(`${flag} <`), flag);
  });

  test("each flag reaches its key", async () => {
    for (const { flag, path } of scalarKeys) {
      const { code, stderr } = await runCommand(addConfig, ["config", "--check", flag, "\u0001\u0000"]);
      assert.equal(code, 2, flag);
      assert.ok(stderr.startsWith(`m2push: ${flag}: ${path}: expected `), stderr);
    }
  });

  test("a file that is not there is named", async () => {
    const { code, stderr } = await runCommand(addConfig, ["config", "-c", "none.toml"], { cwd: folder });
    assert.equal(code, 2);
    assert.equal(stderr, `m2push: none.toml: ${faultTexts.unreadableFile("ENOENT: no such file or directory")}\n`);
  });

  test("--check reads the files that the configuration names, and names every one that cannot be used", async () => {
    writeFileSync(join(folder, "broken.json"), '{"keys": 5}');
    const toml =
      '[auth]\npublisher_key = "broken.json"\nsubscriber_key = "absent.pem"\n[cluster]\ntls_ca = "absent.crt"\n';
    writeFileSync(join(folder, "files.toml"), toml);
    const given = { cwd: folder };
    const { code, stderr } = await runCommand(addConfig, ["config", "--check", "-c", "files.toml"], given);
    assert.equal(code, 2);
    const [first, second, third, ...more] = stderr.trimEnd().split("\n");
    assert.match(String(first), /^m2push: files\.toml:2: auth\.publisher_key: .*broken\.json/);
    assert.match(String(second), /^m2push: files\.toml:3: auth\.subscriber_key: .*absent\.pem: .*ENOENT/);
    assert.match(String(third), /^m2push: files\.toml:5: cluster\.tls_ca: cannot read .*absent\.crt: ENOENT$/);
    assert.deepEqual(more, []);
  });

  test("every fault of a list is named", async () => {
    writeFileSync(join(folder, "list.toml"), '[auth]\nallow_publish_from = ["a", "10.0.0.1", "b", "10.0.0.1"]\n');
    const { stderr } = await runCommand(addConfig, ["config", "--check", "-c", "list.toml"], { cwd: folder });
    assert.match(stderr, /got "a" in entry 1; "b" in entry 3; a second "10\.0\.0\.1" in entry 4\n$/);
  });
});
