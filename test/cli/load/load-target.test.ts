import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { descriptorFault, foreignHosts, hostOf } from "../../../src/cli/load/load-target.js";

describe("Load target", () => {
  test("the host of an address; a path of this machine has none", () => {
    const addresses = ["http://h:1/x", "https://[::1]:2/", "tcp://10.0.0.7:3", "ipc://run/x", "http://user:pw@h2/x"];
    assert.deepEqual(addresses.map(hostOf), ["h", "::1", "10.0.0.7", undefined, "h2"]);
  });

  test("hosts are foreign unless all of their addresses are loopback ones", async () => {
    assert.deepEqual(await foreignHosts(["http://localhost:1/", "tcp://127.9.9.9:2", "http://[::1]/", "ipc://a"]), []);
    assert.deepEqual(await foreignHosts(["http://192.0.2.1/", "tcp://192.0.2.1:1", "http://127.0.0.1/"]), [
      "192.0.2.1",
    ]);
    assert.deepEqual(await foreignHosts(["tcp://0.0.0.0:1"]), ["0.0.0.0"]);
  });

  test("more clients than descriptors are refused with the fix", () => {
    assert.equal(descriptorFault(960, 1024), undefined);
    assert.match(
      descriptorFault(961, 1024) ?? "",
      /^961 clients need 1025 file descriptors, .* 1024; fix: run `ulimit -n 1025`/,
    );
  });
});
