import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { servedAddresses } from "../../src/config/zmq-implementation.js";
import { HAS_ABSTRACT_NAMES } from "../../src/util/node-version.js";
import { load } from "./harness.js";

const served = (toml: string) =>
  servedAddresses(load(toml).config).map(({ key, implementation, reason }) => [key, implementation, reason]);

describe("ZeroMQ implementation", () => {
  test("is native unless configured otherwise", () => {
    for (const toml of ["", '[zmq]\nimplementation = "auto"']) {
      assert.deepEqual(served(toml), [
        ['mongrel2 "main" send_spec', "native", "the default"],
        ['mongrel2 "main" recv_spec', "native", "the default"],
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
    const all = served('[[mongrel2]]\nsend_spec = "ipc://@name"');
    const expected = HAS_ABSTRACT_NAMES
      ? ["native", "the default"]
      : ["libzmq", "native sockets need Node.js 22 for ipc://@name"];
    for (const [, ...choice] of all) assert.deepEqual(choice, expected);
  });
});
