import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { parseEventBody } from "../../src/protocol/event-body.js";
import { InvalidEvents } from "../../src/protocol/event-fault.js";

const rules = { limits: { maxEvents: 100, maxBytes: 100_000 } };

type Sent = { readonly headers: Record<string, unknown>; readonly body: string | Buffer };

function parse({ headers, body }: Sent) {
  const all = new Map(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), [`${value}`]]));
  return parseEventBody({ headers: all, body: Buffer.from(body) }, rules);
}

const STRUCTURED = { "content-type": "application/cloudevents+json" };
const structured = (event: unknown) => parse({ headers: STRUCTURED, body: JSON.stringify(event) })?.drafts[0];
const least = (more = {}) => ({ specversion: "1.0", id: "7", source: "/orders", type: "order.paid", ...more });

const binary = (headers: Record<string, string>, body: string | Buffer = "x") => {
  const all = { "ce-specversion": "1.0", "ce-id": "7", "ce-source": "/orders", "ce-type": "order.paid" };
  return parse({ headers: { ...all, ...headers }, body })?.drafts[0];
};

function faults(run: () => unknown) {
  try {
    run();
  } catch (error) {
    if (error instanceof InvalidEvents) return error.faults.map(({ member, detail }) => [member, detail]);
    throw error;
  }
  assert.fail("it was accepted");
}

describe("CloudEvents", () => {
  test("structured, binary and batched mode give the same event", () => {
    const draft = {
      topics: ["books/1"],
      data: "two\nlines",
      type: "order.paid",
      private: true,
      key: "/orders 7",
    };
    const event = least({ subject: "books/1", data: "two\nlines", private: true, colour: "red" });
    assert.deepEqual(structured(event), draft);
    assert.deepEqual(
      binary({ "ce-subject": "books/1", "ce-private": "true", "ce-colour": "red" }, "two\nlines"),
      draft,
    );
    const batch = {
      headers: { "content-type": "application/cloudevents-batch+json" },
      body: JSON.stringify([event, event]),
    };
    assert.deepEqual(parse(batch), { drafts: [draft, draft], isBatch: true });
  });

  test("JSON data is passed on as it stands, not as it would be written again", () => {
    const body = '{"specversion":"1.0","id":"1","source":"/s","type":"t","data": { "n": 1.50 } }';
    assert.equal(parse({ headers: STRUCTURED, body })?.drafts[0]?.data, '{ "n": 1.50 }');
    assert.equal(structured(least({ data: null }))?.data, "null");
  });

  test("data that is no text is refused: a stream cannot carry it", () => {
    const bytes = Buffer.from([0xff, 0xfe]);
    assert.match(
      `${faults(() => structured(least({ data_base64: bytes.toString("base64") })))}`,
      /^data,the data is not UTF-8/,
    );
    assert.match(`${faults(() => binary({}, bytes))}`, /^data,the data is not UTF-8/);
    assert.match(`${faults(() => structured(least({ data_base64: "a b" })))}`, /not base64/);
    assert.match(`${faults(() => structured(least({ data_base64: "YQ==", data: "a" })))}`, /not both/);
  });

  test("every missing or wrong attribute is named", () => {
    assert.deepEqual(
      faults(() => structured({ specversion: "0.3", id: "", source: 7, subject: "", private: "yes" })),
      [
        ["specversion", '"specversion" must be "1.0"'],
        ["id", '"id" must be a text that is not empty'],
        ["source", '"source" must be a text that is not empty'],
        ["type", '"type" is missing'],
        ["subject", '"subject" must be a text that is not empty'],
        ["private", '"private" must be true or false'],
      ],
    );
    assert.deepEqual(
      faults(() => structured(least({ subject: "*", type: "mercure" }))),
      [
        ["topic", 'topic "*" stands for every topic: nothing can be published there'],
        ["type", 'type "mercure" is reserved for the hub\'s own events'],
      ],
    );
  });

  test("an attribute that is null in JSON is absent", () => {
    assert.deepEqual(structured(least({ subject: null, topic: null, private: null }))?.topics, ["/orders"]);
  });

  test("source and id are the key: equal ids of two sources are two events, and a long key is shortened", () => {
    assert.notEqual(structured(least())?.key, structured(least({ source: "/other" }))?.key);
    const long = structured(least({ id: "x".repeat(300) }))?.key ?? "";
    assert.match(long, /^sha256 [A-Za-z0-9_-]{43}$/);
    assert.notEqual(long, structured(least({ id: `${"x".repeat(299)}y` }))?.key);
  });

  test("headers of binary mode are decoded: percent-encoded UTF-8, and quoted strings", () => {
    assert.deepEqual(binary({ "ce-subject": "Euro%20%E2%82%AC%20100%" })?.topics, ["Euro € 100%"]);
    assert.deepEqual(binary({ "ce-subject": '"a \\"b\\" c"' })?.topics, ['a "b" c']);
    assert.throws(() => binary({ "ce-subject": "%ff" }), /ce-subject has percent-encoded bytes that are not UTF-8/);
    assert.equal(binary({ "ce-__proto__": "x", "ce-private": "true" })?.private, true);
  });

  test("binary mode takes a body of any type, and structured mode wins over headers", () => {
    for (const type of ["", "text/plain", "application/json", "application/x-www-form-urlencoded"]) {
      assert.equal(binary({ "content-type": type }, "a=b")?.data, "a=b", type);
    }
    const both = parse({ headers: { ...STRUCTURED, "ce-specversion": "1.0" }, body: JSON.stringify(least()) });
    assert.equal(both?.drafts[0]?.topics[0], "/orders");
  });

  test("ce- headers without ce-specversion are no CloudEvent", () => {
    assert.equal(parse({ headers: { "content-type": "text/plain", "ce-id": "1" }, body: "x" }), undefined);
  });
});
