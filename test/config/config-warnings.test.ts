import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { configWarnings } from "../../src/config/config-warnings.js";
import { load } from "./harness.js";

const server = (name: string, more = "") =>
  `[[mongrel2]]\nname = "${name}"\nsend_spec = "ipc://${name}-s"\nrecv_spec = "ipc://${name}-r"\n${more}\n`;

const warnings = (toml: string) => configWarnings(load(toml).config);

describe("Configuration warnings", () => {
  test("has none for a usual configuration", () => {
    assert.deepEqual(warnings(""), []);
    assert.deepEqual(warnings(server("main")), []);
  });

  test("bind = true without control is reported with the server, the consequence and the key", () => {
    const [warning = "", ...others] = warnings(server("far", "bind = true"));
    assert.match(
      warning,
      /^\[\[mongrel2\]\] "far" has bind = true and no control: private events are not served; fix: set control/,
    );
    assert.deepEqual(others, []);
  });

  test("a server over libzmq is reported with the reason: its stops may lose requests", () => {
    const [warning = "", ...others] = warnings(`${server("far")}[zmq]\nimplementation = "libzmq"`);
    assert.match(
      warning,
      /^\[\[mongrel2\]\] "far" is served over libzmq \(\[zmq\] implementation = "libzmq"\): a stop/,
    );
    assert.deepEqual(others, []);
  });

  test("with control there is no warning; each of several servers is checked", () => {
    assert.deepEqual(warnings(server("far", 'bind = true\ncontrol = "ipc://c"')), []);
    const all = warnings(
      server("a", 'bind = true\nsend_ident = "a"') + server("b") + server("c", 'bind = true\nsend_ident = "c"'),
    );
    assert.deepEqual(
      all.map((warning) => /"(\w)"/.exec(warning)?.[1]),
      ["a", "c"],
    );
  });
});
