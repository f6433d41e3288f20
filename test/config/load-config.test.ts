import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import fc from "fast-check";
import { faultTexts } from "../../src/config/fault-texts.js";
import { buildConfig, loadConfig } from "../../src/config/load-config.js";
import { namedKeys, sections, tableArrays } from "../../src/config/schema.js";
import { sourceText } from "../../src/config/value-source.js";
import { M2pushError } from "../../src/errors.js";
import { faultsOf, load } from "./harness.js";

const folder = mkdtempSync(join(tmpdir(), "m2push-config-"));

describe("loadConfig", () => {
  after(() => rmSync(folder, { recursive: true }));

  const DEFAULTS = {
    mongrel2: [
      {
        name: "main",
        send_spec: "tcp://127.0.0.1:9999",
        recv_spec: "tcp://127.0.0.1:9998",
        send_ident: "54c6755b-9628-40a4-9a2d-cc82a816345e",
        identity: "82209006-86FF-4982-B5EA-D1E29E55D481",
        control: undefined,
        max_targets: 128,
        bind: false,
        curve_server_secret_key: "",
        curve_client_public_key: "",
        database: "",
        shared: false,
        orphan_timeout: 60_000,
        link_timeout: 60_000,
      },
    ],
    topic: [],
    issuer: [],
    stream: {
      path: "/esupdates",
      retry: 5_000,
      heartbeat: 15_000,
      keepalive: 45_000,
      max_clients: 0,
      max_per_address: 0,
      compression: "off",
      max_pattern_cost: 5_000_000,
      max_lifetime: 0,
      trusted_proxies: [],
    },
    beacon: { interval: 5_000, topic: "beacon" },
    publish: {
      zmq: "tcp://127.0.0.1:9997",
      zmq_acknowledged: "",
      curve: [],
      rate: 0,
      burst: 1000,
      idempotency_window: 86_400_000,
      max_keys: 1_000_000,
      max_batch: 1000,
      max_batch_bytes: 262_144,
    },
    zmq: { implementation: "auto" },
    hub: { path: "/.well-known/mercure", origin: "http://localhost:6767", hosts: [], protocol: "both" },
    history: {
      store: "lmdb",
      path: "/home/me/data",
      max_events: 100_000,
      max_age: 86_400_000,
      max_bytes: 256_000_000,
      max_latest: 1_000,
      max_latest_scan: 20_000,
      durability: "commit",
    },
    auth: {
      anonymous: true,
      publisher_key: "",
      subscriber_key: "",
      issuer: "",
      leeway: 30_000,
      allow_publish_from: [],
      cors_origins: [],
    },
    webhook: [],
    events: {
      zmq: "",
      zmq_events: ["connect", "adopt", "topics", "disconnect", "gap"],
      grace: 5000,
      max_pending: 1_000_000,
      max_age: 86_400_000,
    },
    cluster: {
      nats: [],
      stream: "m2push",
      replicas: 1,
      user: "",
      password: "",
      token: "",
      credentials: "",
      tls_ca: "",
      tls_cert: "",
      tls_key: "",
    },
    admin: { listen: "127.0.0.1:6780", token: "" },
    log: { level: "info", format: "auto" },
    traces: { endpoint: "", service_name: "m2push" },
  };

  test("without file, environment and flags every key has the default of the contract", () => {
    const { config, sources } = loadConfig({ cwd: "/home/me" });
    assert.deepEqual(config, DEFAULTS);
    assert.ok([...sources.values()].every(({ from }) => from === "default"));
  });

  test("the packaged file has the default values, except its paths", () => {
    const { config } = loadConfig({ file: "config/m2push.toml" });
    const [main] = config.mongrel2;
    assert.equal(main.control, `ipc://${join(process.cwd(), "run/control")}`);
    assert.equal(config.history.path, join(process.cwd(), "data"));
    const expected = structuredClone(DEFAULTS) as { mongrel2: object[]; history: { path: string } };
    expected.mongrel2 = [{ ...DEFAULTS.mongrel2[0], control: main.control }];
    expected.history.path = config.history.path;
    assert.deepEqual(config, expected);
  });

  test("the packaged file has every key", () => {
    const { sources } = loadConfig({ file: "config/m2push.toml" });
    for (const [path, source] of sources) assert.equal(source.from, "file", path);
  });

  test("a flag wins over the environment, the environment over the file, the file over the default", () => {
    const toml = "[stream]\nretry = '1s'\nheartbeat = '1s'\nkeepalive = '1s'\n";
    const env = { M2PUSH_STREAM_RETRY: "2s", M2PUSH_STREAM_HEARTBEAT: "2s", PATH: "/bin" };
    const { config, sources } = load(toml, { env, flags: { "stream.retry": "3s" } });
    assert.deepEqual(config.stream, {
      path: "/esupdates",
      retry: 3_000,
      heartbeat: 2_000,
      keepalive: 1_000,
      max_clients: 0,
      max_per_address: 0,
      compression: "off",
      max_pattern_cost: 5_000_000,
      max_lifetime: 0,
      trusted_proxies: [],
    });
    const from = ["retry", "heartbeat", "keepalive", "path"].map((name) => sources.get(`stream.${name}`));
    assert.deepEqual(
      from.map((source) => source && sourceText(source)),
      ["--stream-retry", "M2PUSH_STREAM_HEARTBEAT", "f.toml:4", "default"],
    );
  });

  test("variables and flags are read by the kind of their key", () => {
    const env = {
      M2PUSH_STREAM_MAX_CLIENTS: "5",
      M2PUSH_AUTH_ANONYMOUS: "false",
      M2PUSH_BEACON_INTERVAL: "0",
      M2PUSH_HISTORY_MAX_BYTES: "1MiB",
      M2PUSH_PUBLISH_ZMQ: "",
      M2PUSH_DEBUG: "1",
    };
    const { config } = load("", { env, flags: { "log.level": "debug", "stream.retry": undefined } });
    assert.equal(config.stream.max_clients, 5);
    assert.equal(config.auth.anonymous, false);
    assert.equal(config.beacon.interval, 0);
    assert.equal(config.history.max_bytes, 1_048_576);
    assert.equal(config.publish.zmq, "");
    assert.equal(config.log.level, "debug");
  });

  test("relative paths are relative to the file, those of variables and flags to the working directory", () => {
    const toml =
      "[history]\npath = '../data'\n[auth]\npublisher_key = 'jwks.json'\n[publish]\nzmq = 'ipc://../run/p'\n[[mongrel2]]\ncontrol = 'ipc://c'\n";
    const { config } = load(toml, { env: { M2PUSH_AUTH_SUBSCRIBER_KEY: "./key" } });
    assert.equal(config.history.path, "/srv/data");
    assert.equal(config.auth.publisher_key, "/srv/config/jwks.json");
    assert.equal(config.publish.zmq, "ipc:///srv/run/p");
    assert.equal(config.mongrel2[0].control, "ipc:///srv/config/c");
    assert.equal(config.auth.subscriber_key, "/home/me/key");
    assert.equal(load("", { flags: { "history.path": "d" } }).config.history.path, "/home/me/d");
    assert.equal(load("").config.history.path, "/srv/config/data");
  });

  test("several servers are kept in their order, each with its own values and sources", () => {
    const { config, sources } = load(
      "[[mongrel2]]\nname = 'a'\n[[mongrel2]]\nname = 'b'\nsend_spec = 'tcp://b:1'\nrecv_spec = 'tcp://b:2'\nbind = true\n",
    );
    assert.deepEqual(
      config.mongrel2.map(({ name, bind }) => [name, bind]),
      [
        ["a", false],
        ["b", true],
      ],
    );
    assert.deepEqual(sources.get("mongrel2[1].name"), { from: "file", file: "f.toml", line: 4 });
    assert.deepEqual(sources.get("mongrel2[1].identity"), { from: "default" });
  });

  test("all faults of all sources are reported at once, also of values that are overridden", () => {
    const toml = "[stream]\nretry = 5\nretri = 1\n[log]\nlevel = 'loud'\n";
    const env = { M2PUSH_STREAM_RETYR: "1s", M2PUSH_LOG_LEVEL: "quiet" };
    const faults = faultsOf(() => load(toml, { env, flags: { "stream.retry": "x", "stream.pth": "1" } }));
    assert.deepEqual(
      faults.map((fault) => fault.replace(/: expected.*?(, got )/, "$1")),
      [
        "f.toml:2: stream.retry, got 5",
        `f.toml:3: stream.retri: ${faultTexts.unknownKey("stream.retry")}`,
        'f.toml:5: log.level, got "loud"',
        `M2PUSH_STREAM_RETYR: ${faultTexts.unknownVariable("M2PUSH_STREAM_RETRY")}`,
        'M2PUSH_LOG_LEVEL: log.level, got "quiet"',
        '--stream-retry: stream.retry, got "x"',
        `flag stream.pth: ${faultTexts.unknownKey("stream.path")}`,
      ],
    );
  });

  test("a file that is not TOML does not hide the faults of the environment", () => {
    const faults = faultsOf(() => load("= 1", { env: { M2PUSH_NOPE: "1" } }));
    assert.equal(faults.length, 2);
  });

  test("only the file can set lists and servers", () => {
    assert.deepEqual(
      faultsOf(() => load("", { env: { M2PUSH_CLUSTER_NATS: "x", M2PUSH_MONGREL2_NAME: "x" } })),
      [
        `M2PUSH_CLUSTER_NATS: ${faultTexts.listVariable("cluster.nats")}`,
        `M2PUSH_MONGREL2_NAME: ${faultTexts.serverVariable}`,
      ],
    );
  });

  test("a fault never shows a secret", () => {
    const faults = faultsOf(() =>
      load(
        "[auth]\npublisher_key = '{\"k\":\"s3cret\"}'\n[cluster]\nnats = ['nats://me:s3cret@a', 'nats://me:s3cret@a']",
      ),
    );
    assert.equal(faults.length, 2);
    assert.doesNotMatch(faults.join(), /s3cret/);
  });

  test("a file is read from the working directory, with or without a byte order mark", () => {
    writeFileSync(join(folder, "bom.toml"), "\ufeff[log]\nlevel = 'debug'\n[history]\npath = 'd'\n");
    const { config, sources } = loadConfig({ file: "bom.toml", cwd: folder });
    assert.equal(config.log.level, "debug");
    assert.equal(config.history.path, join(folder, "d"));
    assert.deepEqual(sources.get("log.level"), { from: "file", file: "bom.toml", line: 2 });
  });

  test("a fault names a file that is missing, and a folder in place of a file", () => {
    assert.deepEqual(
      faultsOf(() => loadConfig({ file: "none.toml", cwd: folder })),
      [`none.toml: ${faultTexts.unreadableFile("ENOENT: no such file or directory")}`],
    );
    assert.match(
      String(faultsOf(() => loadConfig({ file: folder }))[0]),
      new RegExp(`: ${faultTexts.unreadableFile("EISDIR")}\\b`),
    );
  });

  const named = (keys: object) => fc.constantFrom(...Object.keys(keys), "retyr", "__proto__");
  const server = fc.dictionary(named(tableArrays.mongrel2), fc.anything());
  const topic = fc.dictionary(named(tableArrays.topic), fc.anything());
  const tables = fc.oneof(
    fc.anything(),
    ...Object.values(sections).map((keys) =>
      fc.dictionary(named(keys), fc.oneof(fc.anything(), fc.string(), fc.nat())),
    ),
  );
  const document = fc.oneof(
    fc.object(),
    fc.dictionary(named(sections), tables),
    fc.record({ topic: fc.oneof(fc.anything(), fc.array(fc.oneof(topic, fc.anything()))) }),
    fc.record({ mongrel2: fc.oneof(fc.anything(), fc.array(fc.oneof(server, fc.anything()))) }),
  );

  test("any document is either a whole configuration or a list of faults, never another error", () => {
    fc.assert(
      fc.property(document, (table) => {
        try {
          const { sources } = buildConfig({ file: "f.toml", base: "/", table, lines: new Map(), faults: [] });
          assert.ok(namedKeys.every(({ path }) => sources.has(path)));
        } catch (error) {
          assert.ok(error instanceof M2pushError && error.code === "config_invalid", String(error));
        }
      }),
    );
  });

  test("any environment is either accepted or a list of faults", () => {
    const variable = fc.oneof(
      fc.constantFrom(...namedKeys.map((key) => key.variable)),
      fc.string().map((name) => `M2PUSH_${name}`),
    );
    fc.assert(
      fc.property(fc.dictionary(variable, fc.string()), (env) => {
        assert.ok(Array.isArray(faultsOf(() => load("", { env }))));
      }),
    );
  });
});
