/** Conditional publishing: If-Match and If-None-Match on the newest event of a topic. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { HUB, Web } from "./harness.js";

const publish = (web: Web, form: string, headers: Readonly<Record<string, string>> = {}) => web.post(form, { headers });

describe("Publish conditions", () => {
  test("If-Match succeeds only while the id is that of the topic's newest event", async () => {
    const web = await Web.open();
    const first = (await publish(web, "topic=a&data=1")).body;
    await publish(web, "topic=b&data=other");
    const second = await publish(web, "topic=a&data=2", { "if-match": `"${first}"` });
    assert.equal(second.status, 200);
    const late = await publish(web, "topic=a&data=3", { "if-match": `"${first}"` });
    assert.deepEqual([late.status, late.headers.etag], [412, `"${second.body}"`]);
    assert.equal(late.body, `the topic's newest event is ${second.body}\n`);
    assert.equal(web.history.count, 3);
  });

  test("If-None-Match: * succeeds only for a topic without an event", async () => {
    const web = await Web.open();
    const first = await publish(web, "topic=a&data=1", { "if-none-match": "*" });
    assert.equal(first.status, 200);
    const second = await publish(web, "topic=a&data=2", { "if-none-match": "*" });
    assert.deepEqual([second.status, second.headers.etag], [412, `"${first.body}"`]);
    assert.equal((await publish(web, "topic=b&data=2", { "if-none-match": "*" })).status, 200);
  });

  test("If-Match fails for a topic without an event, which has no tag", async () => {
    const web = await Web.open();
    for (const tag of ["*", '"x"']) {
      const { status, headers, body } = await publish(web, "topic=a", { "if-match": tag });
      assert.deepEqual([status, headers.etag, body], [412, undefined, "the topic has no stored event\n"]);
    }
    await publish(web, "topic=a");
    assert.equal((await publish(web, "topic=a", { "if-match": "*" })).status, 200);
  });

  test("an expired event counts as none", async () => {
    const web = await Web.open();
    const { body: id } = await publish(web, "topic=a", { "if-none-match": "*" });
    for (let event = 0; event < 1_000; event++) await publish(web, "topic=b");
    assert.equal((await publish(web, "topic=a", { "if-match": `"${id}"` })).status, 412);
    assert.equal((await publish(web, "topic=a", { "if-none-match": "*" })).status, 200);
  });

  test("only the canonical topic counts, in both directions", async () => {
    const web = await Web.open();
    await publish(web, "topic=a&topic=b");
    assert.equal((await publish(web, "topic=b&topic=a", { "if-none-match": "*" })).status, 200);
    assert.equal((await publish(web, "topic=a&topic=c", { "if-none-match": "*" })).status, 412);
  });

  test("of many publishers with the same condition, one succeeds", async () => {
    const web = await Web.open();
    for (const condition of ['"0"', "*"]) {
      const name = condition === "*" ? "if-none-match" : "if-match";
      const topic = condition === "*" ? "new" : "old";
      if (topic === "old") await publish(web, "topic=old&id=0");
      const answers = await Promise.all(
        Array.from({ length: 20 }, (_, id) => publish(web, `topic=${topic}&id=${topic}${id}`, { [name]: condition })),
      );
      assert.equal(answers.filter(({ status }) => status === 200).length, 1);
      assert.equal(answers.filter(({ status }) => status === 412).length, 19);
    }
  });

  test("an id that no tag can hold is encoded in it; lists and weak tags follow RFC 9110", async () => {
    const web = await Web.open();
    await publish(web, `topic=a&id=${encodeURIComponent('é "1", 100%')}`);
    const { headers } = await publish(web, "topic=a", { "if-none-match": "*" });
    const tag = headers.etag ?? "";
    assert.equal(tag, '"%C3%A9%20%221%22,%20100%25"');
    assert.equal((await publish(web, "topic=a&id=7", { "if-match": `W/${tag}` })).status, 412);
    assert.equal((await publish(web, "topic=a&id=7", { "if-match": `"x", ${tag}` })).status, 200);
    assert.equal((await publish(web, "topic=a", { "if-match": '"7"' })).status, 200);
  });

  for (const [headers, status] of [
    [{ "if-match": "" }, 400],
    [{ "if-match": "7" }, 400],
    [{ "if-match": '"7' }, 400],
    [{ "if-match": '"%ff"' }, 400],
    [{ "if-match": '"7"', "if-none-match": "*" }, 400],
    [{ "if-none-match": '"7"' }, 501],
    [{ "if-none-match": "" }, 501],
  ] as const) {
    test(`${JSON.stringify(headers)} is ${status}, and nothing is published`, async () => {
      const web = await Web.open();
      assert.equal((await publish(web, "topic=a", headers)).status, status);
      assert.equal(web.history.last, 0);
    });
  }

  test("a condition on a batch is 400, also of one event; on a JSON event it holds", async () => {
    const web = await Web.open();
    const event = '{"topic":"a","data":"x"}';
    const type = { "content-type": "application/json" };
    assert.equal((await publish(web, `[${event}]`, { ...type, "if-none-match": "*" })).status, 400);
    assert.equal(web.history.last, 0);
    assert.equal((await publish(web, event, { ...type, "if-none-match": "*" })).status, 200);
    const problem = { ...type, "if-none-match": "*", accept: "application/problem+json" };
    const { status, headers, body } = await publish(web, event, problem);
    assert.deepEqual([status, JSON.parse(body).code], [412, "conflict"]);
    assert.match(headers.etag ?? "", /^"#\w+\.1"$/);
  });

  test("a repeat under an idempotency key is answered with the first one's id, although the condition no longer holds", async () => {
    const web = await Web.open();
    const headers = { "if-none-match": "*", "idempotency-key": '"k"' };
    const [first, during] = await Promise.all([publish(web, "topic=a", headers), publish(web, "topic=a", headers)]);
    const later = await publish(web, "topic=a", headers);
    assert.deepEqual([first.status, during.body, later.body], [200, first.body, first.body]);
    assert.equal(web.history.count, 1);
    const failed = await publish(web, "topic=a", { "if-none-match": "*", "idempotency-key": '"other"' });
    assert.equal(failed.status, 412);
    const again = await publish(web, "topic=a", { "if-match": "*", "idempotency-key": '"other"' });
    assert.equal(again.status, 200, "a first one that failed leaves no key");
  });

  test("in a cluster a condition is 501, and nothing is published as if there were none", async () => {
    const web = await Web.open({ isCluster: true });
    for (const name of ["if-match", "if-none-match"]) {
      const { status, body } = await publish(web, "topic=a&data=x", { [name]: "*" });
      assert.deepEqual([status, body], [501, "conditions are not supported in a cluster\n"]);
    }
    assert.equal(web.history.last, 0);
  });

  test("a condition does not replace the grant: an ungranted topic is 403 and its newest id is not shown", async () => {
    const web = await Web.open();
    await publish(web, "topic=a");
    const { tokenV0 } = await import("./harness.js");
    const token = await tokenV0({ publish: ["b"] });
    const { status, headers } = await web.get(HUB, {
      method: "POST",
      body: "topic=a",
      headers: {
        authorization: `Bearer ${token}`,
        "content-type": "application/x-www-form-urlencoded",
        "if-none-match": "*",
      },
    });
    assert.deepEqual([status, headers.etag], [403, undefined]);
  });
});
