import assert from "node:assert/strict";
import { type AddressInfo, createServer } from "node:net";
import { describe, test } from "node:test";
import { portHolder } from "../../src/util/port-holder.js";
import { freePort } from "../support/ports.js";

describe("portHolder", () => {
  test("names the process that listens on a port, of either IP version", async (t) => {
    for (const host of ["127.0.0.1", "::"]) {
      const server = createServer();
      await new Promise<void>((resolve) => server.listen(0, host, resolve));
      t.after(() => server.close());
      const holder = portHolder((server.address() as AddressInfo).port);
      assert.equal(holder?.pid, process.pid);
      assert.match(holder?.name ?? "", new RegExp(` \\(pid ${process.pid}\\)$`));
    }
  });

  test("is undefined for a port on which no process listens", async () => {
    assert.equal(portHolder(await freePort()), undefined);
  });
});
