import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, type TestContext, test } from "node:test";
import { connectionOptions } from "../../src/cluster/nats-connection.js";
import { natsOptions } from "../../src/cluster/nats-options.js";
import { removeDirectory, temporaryDirectory } from "../support/processes.js";

type Place = Parameters<typeof natsOptions>[0];

function place(cluster: Partial<Place["cluster"]>, store: "lmdb" | "memory" = "lmdb"): Place {
  const base = { nats: ["nats://127.0.0.1:4222"], stream: "m2push", replicas: 1, user: "", password: "", token: "" };
  const files = { credentials: "", tls_ca: "", tls_cert: "", tls_key: "" };
  const history = { store, max_events: 10, max_age: 1000, max_bytes: 5000 };
  return { cluster: { ...base, ...files, ...cluster }, history } as unknown as Place;
}

function fileWith(t: TestContext, text: string): string {
  const folder = temporaryDirectory();
  t.after(() => removeDirectory(folder));
  const path = join(folder, "file.pem");
  writeFileSync(path, text);
  return path;
}

describe("natsOptions", () => {
  test("takes limits and storage from [history]", () => {
    const { limits, inMemory } = natsOptions(place({}, "memory"));
    assert.deepEqual(limits, { maxEvents: 10, maxAge: 1000, maxBytes: 5000 });
    assert.equal(inMemory, true);
  });

  test("reads the TLS files, which turn TLS on", (t) => {
    const ca = fileWith(t, "the authority");
    const { tls } = connectionOptions(natsOptions(place({ tls_ca: ca })));
    assert.deepEqual(tls, { ca: "the authority" });
    assert.equal(connectionOptions(natsOptions(place({}))).tls, undefined);
  });

  test("names the key whose file cannot be read", () => {
    assert.throws(() => natsOptions(place({ credentials: "/nowhere/creds" })), {
      code: "config_invalid",
      message: /^cluster\.credentials: \/nowhere\/creds cannot be read: ENOENT/,
    });
  });

  test("prefers the configured user to one in an address, and reads a token from an address", () => {
    const inAddress = connectionOptions(natsOptions(place({ nats: ["nats://ann:b%20c@127.0.0.1:1"] })));
    assert.deepEqual([inAddress.user, inAddress.pass, inAddress.servers], ["ann", "b c", ["127.0.0.1:1"]]);
    const configured = connectionOptions(natsOptions(place({ nats: ["nats://ann:x@127.0.0.1"], user: "bob" })));
    assert.deepEqual([configured.user, configured.pass, configured.servers], ["bob", "", ["127.0.0.1:4222"]]);
    assert.equal(connectionOptions(natsOptions(place({ nats: ["nats://secret@127.0.0.1"] }))).token, "secret");
  });
});
