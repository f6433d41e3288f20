import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { printConfig } from "../../src/config/print-config.js";
import { servedAddresses } from "../../src/config/zmq-implementation.js";
import { HAS_ABSTRACT_NAMES } from "../../src/util/node-version.js";
import { faultsOf, load } from "./harness.js";

const SECRET_KEY = "JTKVSB%%)wK0E.X)V>+}o?pNmC{O&4W4b!Ni{Lh6";
const PUBLIC_KEY = "rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7";

function curveEntry(name: string, changes: Readonly<Record<string, unknown>> = {}): string {
  const keys = { server_secret_key: SECRET_KEY, client_public_key: PUBLIC_KEY };
  const entry = { name, address: "tcp://127.0.0.1:9990", ...keys, topics: ["news"], ...changes };
  const lines = Object.entries(entry).flatMap(([key, value]) =>
    value === undefined ? [] : `${key} = ${JSON.stringify(value)}`,
  );
  return ["[[publish.curve]]", ...lines, ""].join("\n");
}

const curveLink = (more: string): string =>
  `[[mongrel2]]\n${more}\ncurve_server_secret_key = '${SECRET_KEY}'\ncurve_client_public_key = '${PUBLIC_KEY}'\n`;

const served = (toml: string) =>
  servedAddresses(load(toml).config).map(({ key, implementation, reason }) => [key, implementation, reason]);

describe("ZeroMQ implementation", () => {
  test("is native unless configured otherwise", () => {
    for (const toml of ["", '[zmq]\nimplementation = "auto"']) {
      assert.deepEqual(served(toml), [
        ['mongrel2 "main" send_spec', "native", "the default"],
        ['mongrel2 "main" recv_spec', "native", "the default"],
        ["publish zmq", "native", "the default"],
      ]);
    }
  });

  test("is the configured one for every address", () => {
    for (const implementation of ["native", "libzmq"]) {
      const all = served(`[zmq]\nimplementation = "${implementation}"`);
      for (const [, ...choice] of all)
        assert.deepEqual(choice, [implementation, `[zmq] implementation = "${implementation}"`]);
    }
  });

  test("is libzmq for both sockets of a link with an abstract name, on a Node.js that cannot connect to it", () => {
    const all = served('[[mongrel2]]\nsend_spec = "ipc://@name"\n[publish]\nzmq = ""');
    const expected = HAS_ABSTRACT_NAMES
      ? ["native", "the default"]
      : ["libzmq", "native sockets need Node.js 22 for ipc://@name"];
    for (const [, ...choice] of all) assert.deepEqual(choice, expected);
  });

  test("is libzmq for every address with CURVE, and for no other", () => {
    assert.deepEqual(served(`${curveLink("bind = true")}${curveEntry("sensors")}`), [
      ['mongrel2 "main" send_spec', "libzmq", "native sockets have no CURVE"],
      ['mongrel2 "main" recv_spec', "libzmq", "native sockets have no CURVE"],
      ["publish zmq", "native", "the default"],
      ['publish.curve "sensors"', "libzmq", "native sockets have no CURVE"],
    ]);
  });
});

describe("CURVE in the configuration", () => {
  test("fills in acknowledged, and makes paths absolute", () => {
    const [entry] = load(curveEntry("sensors", { address: "ipc://run/curve" })).config.publish.curve;
    assert.equal(entry?.address, "ipc:///srv/config/run/curve");
    assert.equal(entry?.acknowledged, false);
  });

  test("no secret key is printed, and a printed one is not accepted", () => {
    const loaded = load(curveEntry("sensors"));
    const printed = printConfig(loaded);
    assert.ok(!printed.includes(SECRET_KEY));
    assert.match(printed, /^curve = \[\{ name = "sensors", .*server_secret_key = "\*\*\*"/m);
    assert.match(faultsOf(() => load(printed)).join("\n"), /publish\.curve: .*an invalid server_secret_key in entry 1/);
  });

  const faulty: [what: string, toml: string, fault: RegExp][] = [
    ["a missing key", curveEntry("x", { topics: undefined }), /publish\.curve: .*got no topics in entry 1/],
    ["a short key", curveEntry("x", { client_public_key: "abc" }), /got an invalid client_public_key in entry 1/],
    ["an unknown key", curveEntry("x", { topic: "news" }), /got the unknown key "topic" in entry 1/],
    ["two of a name", curveEntry("x") + curveEntry("x"), /got the name of an earlier entry in entry 2/],
    ["one table", '[publish.curve]\nname = "x"', /publish\.curve: expected tables \[\[publish\.curve\]\]/],
    ["an address twice", curveEntry("x") + curveEntry("y"), /expected a unique address, got "tcp:..127.0.0.1:9990"/],
    ["a link that connects", curveLink("bind = false"), /curve_server_secret_key: expected bind = true/],
    [
      "half of the link's keys",
      `[[mongrel2]]\nbind = true\ncurve_server_secret_key = '${SECRET_KEY}'`,
      /expected both/,
    ],
    ["native sockets", `${curveEntry("x")}[zmq]\nimplementation = "native"`, /native sockets have no CURVE/],
  ];
  for (const [what, toml, fault] of faulty) {
    test(`rejects ${what}, without its secrets`, () => {
      const text = faultsOf(() => load(toml)).join("\n");
      assert.match(text, fault);
      assert.ok(!text.includes(SECRET_KEY));
    });
  }
});
