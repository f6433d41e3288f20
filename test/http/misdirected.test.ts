import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { HUB, Web } from "./harness.js";

const CONFIG = '[hub]\nhosts = ["push.example", "127.0.0.1", "[::1]"]';

describe("[hub] hosts", () => {
  test("refuses a page whose name was made to lead here, on every route, and names the key", async () => {
    const web = await Web.open({ config: CONFIG });
    for (const path of [HUB, "/esupdates", `${HUB}/subscriptions`, "/elsewhere"]) {
      const { status, body } = await web.get(path, { headers: { host: "evil.example:6767" } });
      assert.equal(status, 421, path);
      assert.match(body, /fix: add it to \[hub\] hosts/);
    }
    assert.equal((await web.post("topic=a", { headers: { host: "evil.example" } })).status, 421);
    assert.equal(web.history.last, 0);
  });

  test("serves the listed names in any case and with any port, and a client that sends no Host", async () => {
    const web = await Web.open({ config: CONFIG });
    for (const host of ["push.example", "PUSH.example:8443", "push.example.", "127.0.0.1:6767", "[::1]:6767"]) {
      assert.equal((await web.post("topic=a", { headers: { host } })).status, 200, host);
    }
    assert.equal((await web.post("topic=a")).status, 200);
  });

  test("an empty list serves any host", async () => {
    const web = await Web.open();
    assert.equal((await web.post("topic=a", { headers: { host: "any.example" } })).status, 200);
  });

  test("a reload changes the list", async () => {
    const web = await Web.open({ config: CONFIG });
    const { config } = web;
    web.site.reload({ ...config, hub: { ...config.hub, hosts: ["other.example"] } });
    assert.equal((await web.post("topic=a", { headers: { host: "push.example" } })).status, 421);
    assert.equal((await web.post("topic=a", { headers: { host: "other.example" } })).status, 200);
  });
});
