/** What the CloudEvents SDK of npm sends, in each of its modes. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { CloudEvent, HTTP, type Message } from "cloudevents";
import { parseEventBody } from "../../src/protocol/event-body.js";

const rules = { limits: { maxEvents: 100, maxBytes: 100_000 } };

function parse({ headers, body }: Pick<Message, "headers" | "body">) {
  const all = new Map(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), [`${value}`]]));
  return parseEventBody({ headers: all, body: Buffer.from((body ?? "") as string | Buffer) }, rules);
}

describe("CloudEvents SDK", () => {
  for (const [what, fields, expected] of [
    ["text", { data: "two\nlines" }, { data: "two\nlines" }],
    ["JSON", { data: { a: [1, 2.5], b: null } }, { data: '{"a":[1,2.5],"b":null}' }],
    ["bytes", { data: Buffer.from("hé"), datacontenttype: "text/plain" }, { data: "hé" }],
    ["no data", {}, { data: "" }],
    ["a subject", { subject: "books/1", data: "x" }, { data: "x", topics: ["books/1"] }],
    ["a topic of its own", { subject: "books/1", topic: "books", data: "x" }, { data: "x", topics: ["books"] }],
    ["private", { private: true, data: "x" }, { data: "x", private: true }],
    ["other extensions", { colour: "red", size: 5, traceparent: "00-1-2-03", data: "x" }, { data: "x" }],
  ] as const) {
    test(`an event of the SDK with ${what} is the same in each mode`, () => {
      const event = new CloudEvent<unknown>({
        id: "7",
        source: "https://shop.example/orders",
        type: "order.paid",
        ...fields,
      });
      const draft = {
        topics: ["https://shop.example/orders"],
        type: "order.paid",
        private: false,
        key: "https://shop.example/orders 7",
        ...expected,
      };
      assert.deepEqual(parse(HTTP.structured(event)), { drafts: [draft], isBatch: false });
      assert.deepEqual(parse(HTTP.binary(event)), { drafts: [draft], isBatch: false });
      const batch = { headers: { "content-type": "application/cloudevents-batch+json" }, body: `[${event},${event}]` };
      assert.deepEqual(parse(batch), { drafts: [draft, draft], isBatch: true });
    });
  }
});
