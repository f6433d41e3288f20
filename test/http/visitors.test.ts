/** What the address of a visitor behind a trusted proxy decides. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { load } from "../config/harness.js";
import { HUB, Web } from "./harness.js";

const PROXY = "10.0.0.1";
const TRUSTED = `[stream]\nmax_per_address = 1\ntrusted_proxies = ["${PROXY}"]\n`;
const FORM = { "content-type": "application/x-www-form-urlencoded" };

const from = (visitor: string) => ({ remote: PROXY, headers: { "x-forwarded-for": visitor } });
const publish = (web: Web, visitor: string, more = {}) =>
  web.get(HUB, {
    ...{ method: "POST", body: "topic=a&data=x", remote: PROXY },
    headers: { ...FORM, "x-forwarded-for": visitor, ...more },
  });

describe("Visitors behind a trusted proxy", () => {
  test("max_per_address counts visitors, and the record of clients names them", async () => {
    const web = await Web.open({ config: TRUSTED });
    const query = "match=a";
    const first = web.send(HUB, { query, ...from("203.0.113.1") });
    assert.equal((await web.get(HUB, { query, ...from("203.0.113.1") })).status, 429);
    assert.equal((await web.get(HUB, { query, ...from("203.0.113.2") })).status, 200);
    assert.equal(web.server.clients.get(first)?.remote, "203.0.113.1");
  });

  test("visitors whom the headers do not name count as one", async () => {
    const web = await Web.open({ config: TRUSTED });
    assert.equal((await web.get(HUB, { query: "match=a", ...from("nobody") })).status, 200);
    assert.equal((await web.get(HUB, { query: "match=a", ...from("somebody") })).status, 429);
  });

  test("allow_publish_from is about the visitor, whom no own header puts into it", async () => {
    const web = await Web.open({ config: `${TRUSTED}[auth]\nallow_publish_from = ["192.0.2.7", "${PROXY}"]` });
    assert.equal((await publish(web, "192.0.2.7")).status, 200);
    assert.equal((await publish(web, "203.0.113.1")).status, 401);
    assert.equal((await publish(web, "192.0.2.7, 203.0.113.1")).status, 401);
    assert.equal((await publish(web, "203.0.113.1", { "x-real-ip": "192.0.2.7" })).status, 401);
    assert.equal((await publish(web, "nobody")).status, 401);
    const direct = { method: "POST", body: "topic=a&data=x", headers: { ...FORM, "x-forwarded-for": "192.0.2.7" } };
    assert.equal((await web.get(HUB, { ...direct, remote: "203.0.113.1" })).status, 401);
  });

  test("publishers without a token have a rate for each address", async () => {
    const config = `${TRUSTED}[publish]\nrate = 1\nburst = 1\n[auth]\nallow_publish_from = ["192.0.2.0/24"]`;
    const web = await Web.open({ config });
    assert.equal((await publish(web, "192.0.2.1")).status, 200);
    assert.equal((await publish(web, "192.0.2.1")).status, 429);
    assert.equal((await publish(web, "192.0.2.2")).status, 200);
  });

  test("a reload trusts other proxies", async () => {
    const web = await Web.open({ config: TRUSTED });
    web.site.reload(load('[stream]\ntrusted_proxies = ["192.0.2.200"]').config);
    const id = web.send(HUB, { query: "match=a", ...from("203.0.113.1") });
    assert.equal(web.server.clients.get(id)?.remote, PROXY);
  });

  test("without trusted_proxies no header is read", async () => {
    const web = await Web.open();
    const id = web.send(HUB, { query: "match=a", ...from("203.0.113.1") });
    assert.equal(web.server.clients.get(id)?.remote, PROXY);
  });
});
