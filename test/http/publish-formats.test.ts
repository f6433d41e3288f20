/** Publishing in the formats other than forms: JSON, JSON lines, CloudEvents; and errors as problem details. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { M2pushError } from "../../src/errors.js";
import type { Bus } from "../../src/hub/bus.js";
import { publishError } from "../../src/protocol/publish-error.js";
import { detail, everything, everythingV8, HUB, tokenV0, tokenV8, Web } from "./harness.js";

const JSON_TYPE = { "content-type": "application/json" };
const NDJSON = { "content-type": "application/x-ndjson" };

async function watched(config = "") {
  const web = await Web.open({ config });
  const headers = { authorization: `Bearer ${await tokenV0({ subscribe: ["{word}"] })}` };
  const id = web.send(HUB, { query: "topic=*", headers });
  await web.until(id, 1);
  return { web, seen: () => web.events(id), text: () => web.outlet.received.get(id) ?? "" };
}

/** A bus that stores each event by itself, as a cluster does; those whose data is "bad" fail with this error. */
const perEvent =
  (error: M2pushError) =>
  (bus: Bus): Bus => ({
    epoch: bus.epoch,
    start: bus.start.bind(bus),
    publish: bus.publish.bind(bus),
    publishAll: (drafts) => Promise.all(drafts.map((draft) => (draft.data === "bad" ? { error } : bus.publish(draft)))),
    post: bus.post.bind(bus),
    remove: bus.remove.bind(bus),
    close: () => bus.close(),
  });

describe("Publish formats", () => {
  test("a JSON event is answered with its id as JSON, and its data arrives as it stood", async () => {
    const { web, seen } = await watched();
    const body = '{"topic":"a","data":{"n":1.50}}';
    const { status, headers, body: answer } = await web.post(body, { headers: JSON_TYPE });
    assert.deepEqual([status, headers["content-type"]], [200, "application/json"]);
    assert.deepEqual(JSON.parse(answer), { id: `#${web.history.epoch}.1` });
    await web.post('{"topics":["a","b"],"data":"text","id":"7"}', { headers: JSON_TYPE });
    assert.deepEqual(seen(), ['{"n":1.50}', "text"]);
  });

  for (const [what, body, headers] of [
    ["an array", '[{"topic":"a","data":"1"},{"topic":"b","data":2}]', JSON_TYPE],
    ["JSON lines", '{"topic":"a","data":"1"}\n\n{"topic":"b","data":2}\n', NDJSON],
    [
      "a batch of CloudEvents",
      JSON.stringify(["1", "2"].map((data) => ({ specversion: "1.0", id: data, source: "/s", type: "t", data }))),
      { "content-type": "application/cloudevents-batch+json" },
    ],
  ] as const) {
    test(`${what} is answered with one entry for each event, in their order`, async () => {
      const { web, seen } = await watched();
      const { status, body: answer } = await web.post(body, { headers });
      const { epoch } = web.history;
      assert.equal(status, 200);
      assert.deepEqual(JSON.parse(answer), { events: [{ id: `#${epoch}.1` }, { id: `#${epoch}.2` }] });
      assert.deepEqual(seen(), ["1", "2"]);
    });
  }

  test("a CloudEvent in binary mode: the headers are its attributes, whatever the type of the body", async () => {
    const { web, text } = await watched();
    const attributes = { "ce-specversion": "1.0", "ce-id": "1", "ce-source": "/s", "ce-type": "order.paid" };
    for (const [index, type] of ["text/plain", "application/x-www-form-urlencoded"].entries()) {
      const headers = { "content-type": type, ...attributes, "ce-id": `${index}`, "ce-subject": "books%2F1" };
      assert.equal((await web.post("topic=a&data=x", { headers })).status, 200);
    }
    web.outlet.acknowledgeAll();
    assert.equal(text().match(/event: order\.paid\nid: \S+\ndata: topic=a&data=x\n\n/g)?.length, 2);
  });

  test("a CloudEvent that is sent again is not published again: source and id are its key", async () => {
    const { web, seen } = await watched();
    const event = { specversion: "1.0", id: "7", source: "/orders", type: "order.paid", subject: "a", data: "x" };
    const headers = { "content-type": "application/cloudevents+json" };
    const [first, again] = [
      await web.post(JSON.stringify(event), { headers }),
      await web.post(JSON.stringify(event), { headers }),
    ];
    assert.deepEqual([again.status, again.body, seen()], [200, first.body, ["x"]]);
    assert.equal((await web.post(JSON.stringify({ ...event, data: "y" }), { headers })).status, 422);
  });

  test("one wrong event: nothing of the batch is published, and every fault is named with its line", async () => {
    const { web, seen } = await watched();
    const lines = '{"topic":"a","data":"1"}\n{"topic":"*","data":"2","retry":-1}\n\n{\n';
    const { status, body } = await web.post(lines, { headers: NDJSON });
    assert.equal(status, 400);
    assert.equal(
      body,
      'line 2: topic "*" stands for every topic: nothing can be published there\n' +
        "line 2: retry must be a whole number of milliseconds, not -1\nline 4: broken JSON\n",
    );
    assert.deepEqual([seen(), web.history.last], [[], 0]);
  });

  test("clients that accept JSON get errors as problem details, with every fault", async () => {
    const { web } = await watched();
    const wrong = '[{"topic":"a","data":"1"},{"data":"2","colour":1}]';
    for (const accept of ["application/problem+json", "text/html, application/json;q=0.5", "application/*"]) {
      const { status, headers, body } = await web.post(wrong, { headers: { ...JSON_TYPE, accept } });
      assert.deepEqual([status, headers["content-type"]], [400, "application/problem+json"], accept);
      const { detail: text, faults, ...rest } = JSON.parse(body);
      assert.deepEqual(rest, { type: "about:blank", title: "Bad Request", status: 400, code: "invalid" });
      assert.deepEqual(
        faults.map(({ index, member, code }: Record<string, unknown>) => [index, member, code]),
        [
          [1, undefined, "invalid"],
          [1, "topic", "invalid"],
        ],
      );
      assert.match(text, /^event 1: unknown key "colour": known are topic, .*\nevent 1: "topic" is missing$/);
    }
    for (const accept of ["*/*", "text/plain", "application/json;q=0, */*", ""]) {
      const { headers } = await web.post(wrong, { headers: { ...JSON_TYPE, accept } });
      assert.equal(headers["content-type"], "text/plain; charset=utf-8", accept);
    }
  });

  test("problem details of the other errors: tokens, types, unknown addresses", async () => {
    const { web } = await watched();
    const accept = { accept: "application/problem+json" };
    for (const [answer, status, code] of [
      [await web.post("topic=a", { token: null, headers: accept }), 401, "unauthenticated"],
      [await web.post("topic=a", { token: await tokenV0({ publish: [] }), headers: accept }), 403, "forbidden"],
      [await web.post("x", { headers: { ...accept, "content-type": "text/plain" } }), 415, "unsupported_type"],
      [await web.get("/nowhere", { headers: accept }), 404, "not_found"],
    ] as const) {
      assert.deepEqual([answer.status, JSON.parse(answer.body).code], [status, code]);
      assert.equal(answer.headers["content-length"], `${Buffer.byteLength(answer.body)}`);
    }
  });

  test("the token must grant every topic of every event", async () => {
    const { web, seen } = await watched();
    for (const token of [await tokenV0({ publish: ["a"] }), await tokenV8([detail(["publish"], ["a"])])]) {
      const batch = (topics: readonly string[]) =>
        topics.map((topic) => JSON.stringify({ topic, data: topic })).join("\n");
      assert.equal((await web.post(batch(["a", "a"]), { token, headers: NDJSON })).status, 200);
      assert.equal((await web.post(batch(["a", "b"]), { token, headers: NDJSON })).status, 403);
      const alternate = '[{"topics":["a","b"],"data":"x"}]';
      assert.equal((await web.post(alternate, { token, headers: JSON_TYPE })).status, 403);
    }
    assert.deepEqual(seen(), ["a", "a", "a", "a"]);
  });

  test("a reserved topic in a batch is refused in both dialects", async () => {
    const { web } = await watched();
    const body = `[{"topic":"a","data":"1"},{"topic":"${HUB}/subscriptions/x","data":"2"}]`;
    for (const token of [everything, everythingV8]) {
      const { status, body: text } = await web.post(body, { token: await token(), headers: JSON_TYPE });
      assert.deepEqual([status, text], [400, "event 1: a topic is reserved for the hub\n"]);
    }
    assert.equal(web.history.last, 0);
  });

  test("a batch beyond max_batch or max_batch_bytes is 413, and says which limit", async () => {
    const { web } = await watched('[publish]\nmax_batch = 2\nmax_batch_bytes = "1kB"');
    const line = '{"topic":"a","data":"1"}';
    assert.equal((await web.post(`${line}\n${line}`, { headers: NDJSON })).status, 200);
    const many = await web.post(`${line}\n${line}\n${line}`, { headers: NDJSON });
    assert.deepEqual([many.status, many.body], [413, "3 events, at most 2 are taken ([publish] max_batch)\n"]);
    const large = await web.post(`[{"topic":"a","data":"${"x".repeat(1_000)}"}]`, { headers: JSON_TYPE });
    assert.equal(large.status, 413);
    assert.match(large.body, /1025 bytes, at most 1000 are taken \(\[publish\] max_batch_bytes\)/);
  });

  test("in a cluster the batch is answered with the result of each event: 503 unless all are stored", async () => {
    for (const code of ["storage_failed", "unavailable"] as const) {
      const failure = new M2pushError(code, "the secret cause", { retryAfterMs: 7_000 });
      const web = await Web.open({ wrap: perEvent(failure) });
      const batch = '[{"topic":"a","data":"1"},{"topic":"a","data":"bad"},{"topic":"a","data":"3"}]';
      const accept = "application/problem+json";
      const { status: actual, headers, body } = await web.post(batch, { headers: { ...JSON_TYPE, accept } });
      assert.deepEqual([actual, headers["retry-after"], headers["content-type"]], [503, "7", "application/json"]);
      const { epoch } = web.history;
      assert.deepEqual(JSON.parse(body), {
        events: [{ id: `#${epoch}.1` }, { error: publishError(failure) }, { id: `#${epoch}.2` }],
      });
    }
  });

  test("after a refused batch a good one is served on the same connection", async () => {
    const { web } = await watched();
    const headers = { authorization: `Bearer ${await everything()}`, ...NDJSON };
    const id = web.send(HUB, { method: "POST", headers, body: "{" });
    web.send(HUB, { id, method: "POST", headers, body: '{"topic":"a","data":"1"}' });
    const answers = await web.until(id, 2);
    assert.deepEqual(
      answers.map(({ status }) => status),
      [400, 200],
    );
  });
});
