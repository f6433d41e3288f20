import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { M2pushError } from "../../src/errors.js";
import type { Bus } from "../../src/hub/bus.js";
import { publishError } from "../../src/protocol/publish-error.js";
import { detail, everything, everythingV8, HUB, tokenV0, tokenV8, Web } from "./harness.js";

/** A web with a subscriber to everything, private events included, except presence events. */
async function watched(config = "") {
  const web = await Web.open({ config });
  const headers = { authorization: `Bearer ${await tokenV0({ subscribe: ["{word}"] })}` };
  const id = web.send(HUB, { query: "topic=*", headers });
  await web.until(id, 1);
  return { web, seen: () => web.events(id), text: () => web.outlet.received.get(id) ?? "" };
}

const BOTH = [everything, everythingV8];

describe("Publish", () => {
  test("success is exactly 200, and the body is the id, and nothing but the id", async () => {
    const { web, seen } = await watched();
    const { status, headers, body } = await web.post("topic=a&data=x");
    assert.deepEqual(
      [status, headers["content-type"], body],
      [200, "text/plain; charset=utf-8", `#${web.history.epoch}.1`],
    );
    assert.equal(headers["content-length"], `${body.length}`);
    assert.deepEqual(seen(), ["x"]);
  });

  test("the fields of the form become those of the event", async () => {
    const { web, text } = await watched();
    const { body } = await web.post("topic=a&data=one%0Atwo&id=order-7&type=order&retry=0250&unknown=x&topics=b");
    assert.equal(body, "order-7");
    web.outlet.acknowledgeAll();
    assert.match(text(), /\n\nevent: order\nretry: 250\nid: order-7\ndata: one\ndata: two\n\n$/);
  });

  test("an event with a ttl is not replayed after it", async () => {
    const { web, seen } = await watched();
    await web.post("topic=a&data=short&ttl=5");
    await web.post("topic=a&data=long&ttl=10m&final");
    assert.deepEqual(seen(), ["short", "long"]);
    web.clock.advance(5000);
    const late = web.send(HUB, { query: "topic=a&lastEventID=earliest" });
    await web.until(late, 1);
    web.outlet.acknowledgeAll();
    assert.deepEqual(web.events(late), ["long"]);
  });

  test("data may be absent, and empty; fields that are empty count as absent", async () => {
    const { web, text } = await watched();
    assert.equal((await web.post("topic=a&id=&type=&retry=")).body, `#${web.history.epoch}.1`);
    assert.equal((await web.post("topic=a&data=")).status, 200);
    web.outlet.acknowledgeAll();
    assert.match(text(), /\nid: #\w+\.1\ndata: \n\nid: #\w+\.2\ndata: \n\n$/);
  });

  for (const [what, form] of [
    ["no topic", "data=x"],
    ["an empty topic", "topic=&data=x"],
    ["the topic *", "topic=*"],
    ["an alternate topic that is *", "topic=a&topic=*"],
    ["a control character in the topic", "topic=a%00"],
    ["a C1 control character in the topic", "topic=a%C2%85"],
    ["an invisible character in the topic", "topic=a%E2%80%8B"],
    ["a topic that is not UTF-8", "topic=%ff"],
    ["data that is not UTF-8", "topic=a&data=%ff"],
    ["an id that begins with #", "topic=a&id=%23x"],
    ["the id earliest", "topic=a&id=earliest"],
    ["a line end in the id", "topic=a&id=x%0Adata:%20injected"],
    ["NUL in the id", "topic=a&id=x%00"],
    ["an invisible character in the id", "topic=a&id=x%E2%80%AE"],
    ["the type mercure", "topic=a&type=mercure"],
    ["a type that is the hub's own", "topic=a&type=m2push-gap"],
    ["a line end in the type", "topic=a&type=x%0D%0Aid:%201"],
    ["retry with a sign", "topic=a&retry=-1"],
    ["retry with a fraction", "topic=a&retry=1.5"],
    ["retry in other digits", "topic=a&retry=%D9%A1"],
    ["retry that is no number", "topic=a&retry=x"],
    ["ttl that is no time", "topic=a&ttl=soon"],
    ["ttl of 0", "topic=a&ttl=0"],
    ["a reserved topic", "topic=/.well-known/mercure/subscriptions/x"],
    ["more than 4,000 fields", `topic=a${"&x=1".repeat(4_001)}`],
  ] as const) {
    test(`${what} is refused in both dialects, and nothing is published`, async () => {
      const { web } = await watched();
      for (const token of BOTH) {
        const { status } = await web.post(form, { token: await token() });
        assert.ok(status >= 400 && status < 500, `${status}`);
        assert.notEqual(status, 401);
      }
      assert.equal(web.history.last, 0);
      assert.equal((await web.post("topic=a")).status, 200, "the next good one is served");
    });
  }

  for (const [what, form] of [
    ["data over its limit", `topic=a&data=${"x".repeat(100_000)}`],
    ["a topic over its limit", `topic=${"x".repeat(4_097)}`],
    [
      "topics that are too large together",
      Array.from({ length: 40 }, (_, i) => `topic=${i}${"x".repeat(3_000)}`).join("&"),
    ],
    ["an id over its limit", `topic=a&id=${"x".repeat(257)}`],
  ] as const) {
    test(`${what}: 413`, async () => {
      const { web } = await watched();
      for (const token of BOTH) assert.equal((await web.post(form, { token: await token() })).status, 413);
      assert.equal(web.history.last, 0);
    });
  }

  test("1,000 topics are taken; one more is 413 in draft-08 and 400 in 0.x", async () => {
    const { web, seen } = await watched();
    const topics = (count: number) => Array.from({ length: count }, (_, i) => `topic=t${i}`).join("&");
    assert.equal((await web.post(`${topics(1_000)}&data=x`)).status, 200);
    assert.equal((await web.post(topics(1_001), { token: await everythingV8() })).status, 413);
    assert.equal((await web.post(topics(1_001), { token: await everything() })).status, 400);
    assert.deepEqual(seen(), ["x"], "once, however many of its topics are followed");
  });

  test("a body of another type, or of none, is 415, and the response lists the types", async () => {
    const { web, seen } = await watched();
    for (const token of BOTH) {
      for (const type of ["text/plain", "multipart/form-data; boundary=x", "application/xml", ""]) {
        const { status, headers } = await web.post("topic=a", {
          token: await token(),
          headers: { "content-type": type },
        });
        assert.equal(status, 415, type);
        assert.equal(
          headers["accept-post"],
          "application/x-www-form-urlencoded, application/json, application/x-ndjson, application/cloudevents+json, application/cloudevents-batch+json",
        );
      }
    }
    assert.equal((await web.post("")).status, 400, "a form without a topic");
    assert.deepEqual(seen(), []);
  });

  test("parameters in the address are no fields", async () => {
    const { web } = await watched();
    assert.equal((await web.post("data=x", { query: "topic=a" })).status, 400);
  });

  test("the token must grant each topic; alternates do not slip through", async () => {
    const { web } = await watched();
    for (const token of [await tokenV0({ publish: ["a"] }), await tokenV8([detail(["publish"], ["a"])])]) {
      assert.equal((await web.post("topic=a", { token })).status, 200);
      assert.equal((await web.post("topic=a&topic=c", { token })).status, 403);
      assert.equal((await web.post("topic=c&topic=a", { token })).status, 403);
    }
    assert.equal(
      (await web.post("topic=a&topic=b/1", { token: await tokenV0({ publish: ["a", "b/{x}"] }) })).status,
      200,
    );
    assert.equal((await web.post("topic=a", { token: await tokenV0({ subscribe: ["*"] }) })).status, 403);
    assert.equal((await web.post("topic=a", { token: await tokenV8([]) })).status, 403);
  });

  test("the presence of private decides, not its value", async () => {
    const { web, seen } = await watched();
    const stranger = web.send(HUB, { query: "topic=*" });
    for (const word of ["private=on", "private=", "private", "private=0", "private=false"])
      assert.equal((await web.post(`topic=a&data=${word.replace("=", "-")}&${word}`)).status, 200);
    await web.post("topic=a&data=public&Private=on");
    assert.deepEqual(web.events(stranger), ["public"]);
    assert.equal(seen().length, 6);
  });

  test("an id with the form of the hub's own is refused: it would take a browser to another place", async () => {
    const { web } = await watched();
    assert.equal((await web.post(`topic=a&id=${web.history.epoch}.1`)).status, 400);
  });

  test("events of one connection keep their order", async () => {
    const { web, seen } = await watched();
    const token = await everything();
    const headers = { authorization: `Bearer ${token}`, "content-type": "application/x-www-form-urlencoded" };
    const id = web.send(HUB, { method: "POST", headers, body: "topic=a&data=1" });
    for (let event = 2; event <= 7; event++)
      web.send(HUB, { id, method: "POST", headers, body: `topic=a&data=${event}` });
    await web.until(id, 7);
    assert.deepEqual(
      seen(),
      Array.from({ length: 7 }, (_, index) => `${index + 1}`),
    );
  });

  test("what cannot be stored is not acknowledged: 503, and when to come again", async () => {
    const failure = new M2pushError("storage_failed", "the disk is full");
    const failing = (bus: Bus): Bus => ({
      epoch: bus.epoch,
      start: bus.start.bind(bus),
      publish: () => Promise.reject(failure),
      publishAll: bus.publishAll.bind(bus),
      post: bus.post.bind(bus),
      remove: bus.remove.bind(bus),
      close: () => bus.close(),
    });
    const web = await Web.open({ wrap: failing });
    const { status, headers, body } = await web.post("topic=a");
    assert.deepEqual([status, headers["retry-after"]], [503, "1"]);
    assert.equal(body, `${publishError(failure).message}\n`);
    assert.doesNotMatch(body, /disk/);
  });

  // Mongrel2 hands these on without their body, or with garbage for one; only the missing topic saved us.
  for (const coding of ["Chunked", "chunked", "gzip, chunked", "gzip", "identity", ""]) {
    test(`a request with Transfer-Encoding: ${coding || "nothing"} is 411 and closed, before anything is stored`, async () => {
      const web = await Web.open();
      for (const sent of [
        { body: "topic=a&data=x", headers: { "content-length": "14", "transfer-encoding": coding } },
        { body: "", headers: { "transfer-encoding": coding } },
      ]) {
        const { status, headers } = await web.post(sent.body, sent);
        assert.deepEqual([status, headers.connection], [411, "close"]);
      }
      for (const [path, method] of [
        [HUB, "QUERY"],
        [HUB, "OPTIONS"],
        ["/esupdates", "GET"],
        ["/nowhere", "GET"],
      ] as const) {
        const { status } = await web.get(path, { method, query: "topic=a", headers: { "transfer-encoding": coding } });
        assert.equal(status, 411, `${method} ${path}`);
      }
      assert.deepEqual([web.history.last, web.hub.clients], [0, 0]);
    });
  }

  test("a body with a Content-Encoding is 415, one with identity is read", async () => {
    const { web, seen } = await watched();
    for (const coding of ["gzip", "br", "identity, gzip", "x"]) {
      const { status, headers } = await web.post("topic=a&data=x", { headers: { "content-encoding": coding } });
      assert.deepEqual([status, headers["accept-encoding"]], [415, "identity"], coding);
      const form = { "content-type": "application/x-www-form-urlencoded", "content-encoding": coding };
      const query = await web.get(HUB, { method: "QUERY", body: "topic=a", headers: form });
      assert.equal(query.status, 415, coding);
    }
    for (const coding of ["identity", "Identity", ""])
      assert.equal((await web.post("topic=a&data=y", { headers: { "content-encoding": coding } })).status, 200, coding);
    assert.deepEqual(seen(), ["y", "y", "y"]);
  });
});
