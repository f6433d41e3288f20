import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { tokenV0, Web } from "./harness.js";

async function opened() {
  const web = await Web.open({});
  return { web, count: () => web.history.count };
}

describe("Idempotency-Key", () => {
  test("a repeat has the first one's response, and publishes nothing", async () => {
    const { web, count } = await opened();
    const post = (key: string, body = "topic=a&data=x") => web.post(body, { headers: { "idempotency-key": key } });
    const first = await post('"8e03978e-40d5"');
    const repeat = await post('"8e03978e-40d5"');
    assert.deepEqual([repeat.status, repeat.body, count()], [200, first.body, 1]);
    assert.equal((await post("8e03978e-40d5")).body, first.body, "quotation marks are not part of the key");
    assert.notEqual((await post('"8e03978e-40d6"')).body, first.body);
    assert.equal(count(), 2);
  });

  test("another body under the same key is 422", async () => {
    const { web, count } = await opened();
    const headers = { "idempotency-key": '"k"' };
    await web.post("topic=a&data=x", { headers });
    const { status, body } = await web.post("topic=a&data=y", { headers });
    assert.deepEqual([status, count()], [422, 1]);
    assert.match(body, /idempotency key.*fix: use a new key/);
  });

  for (const [what, value] of [
    ["empty", ""],
    ["an empty string", '""'],
    ["an open quotation mark", '"a'],
    ["text behind the string", '"a" b'],
    ["a space in it", '"a b"'],
    ["two of them", ["a", "b"]],
    ["more than 255 characters", `"${"k".repeat(256)}"`],
  ] as const) {
    test(`a key that is not allowed is 400: ${what}`, async () => {
      const { web, count } = await opened();
      const { status } = await web.post("topic=a&data=x", { headers: { "idempotency-key": value } });
      assert.deepEqual([status, count()], [400, 0]);
    });
  }

  test("issuer and subject are the scope of a key, and publishers without a subject share one", async () => {
    const { web, count } = await opened();
    const post = async (claims: Readonly<Record<string, string>>) => {
      const token = await tokenV0({ publish: ["*"] }, claims);
      return (await web.post("topic=a", { token, headers: { "idempotency-key": "k" } })).body;
    };
    const owners = [{ sub: "a" }, { sub: "b" }, { sub: "a", iss: "x" }, { sub: "a", iss: "y" }, {}];
    const ids = [];
    for (const claims of owners) ids.push(await post(claims));
    assert.equal(new Set(ids).size, owners.length);
    for (const [index, claims] of owners.entries()) assert.equal(await post(claims), ids[index]);
    assert.equal(await post({ iss: "x" }), ids.at(-1));
    assert.equal(count(), owners.length);
  });

  test("a form, an event as JSON and a batch have keys alike", async () => {
    const { web, count } = await opened();
    const post = async (type: string, body: string, key?: string) => {
      const headers = { "content-type": type, ...(key !== undefined && { "idempotency-key": key }) };
      return (await web.post(body, { headers })).body;
    };
    const batch = '[{"topic":"a","data":1},{"topic":"a","data":2,"id":"mine"}]';
    const first = await post("application/json", batch, "k");
    assert.equal(await post("application/json", batch, "k"), first);
    assert.equal(count(), 2);
    const keyed = '{"topic":"a","data":3,"key":"order-7"}';
    const event = await post("application/json", keyed);
    assert.deepEqual([await post("application/json", keyed), count()], [event, 3]);
    const lines = `${keyed}\n{"topic":"a","data":4}\n`;
    assert.equal(JSON.parse(await post("application/x-ndjson", lines)).events[0].id, JSON.parse(event).id);
    assert.equal(count(), 4);
  });

  test("escapes of a quoted key count as what they stand for", async () => {
    const { web, count } = await opened();
    await web.post("topic=a", { headers: { "idempotency-key": '"a\\\\\\"b"' } });
    await web.post("topic=a", { headers: { "idempotency-key": 'a\\"b' } });
    assert.equal(count(), 1);
  });
});
