/**
 * /openapi.json against the running daemon: every documented answer of every route is caused, and its status, type and body are those of the
 * document. An answer without documentation fails, and so does documentation without an answer (but see EXCEPTIONS).
 */
import assert from "node:assert/strict";
import { type IncomingMessage, request } from "node:http";
import { after, before, describe, test } from "node:test";
import { Validator } from "@seriousme/openapi-schema-validator";
import { Ajv2020 } from "ajv/dist/2020.js";
import { WAIT_TIMEOUT_MS, within } from "../support/deadline.js";
import { pairOfSuite } from "../support/pair.js";
import { freePort } from "../support/ports.js";
import { access, bearer, detail, HUB, old, oldForAll, pattern, SECRET } from "./mercure.js";

type Json = { readonly [name: string]: Json } & { readonly [index: number]: Json };

const STREAM = "/esupdates";
const TOKEN = "a token of sixteen or more".replaceAll(" ", "-");
const FORM = { "content-type": "application/x-www-form-urlencoded" };
const JSON_TYPE = { "content-type": "application/json" };
const SUBSCRIPTIONS = `${HUB}/subscriptions`;

/** Statuses that this test does not cause, and why. test/http/documented.ts compares those of all tests of src/http with the document. */
const EXCEPTIONS: readonly [operation: RegExp, statuses: readonly number[], why: string][] = [
  [/./, [500], "a defect of the daemon"],
  [/^(?!readiness$)/, [503], "a limit or a fault: test/http, test/observability/admin, test/fault"],
  [
    /^(subscribeByQuery|changeTopics|removeEvents)$/,
    [413],
    "Mongrel2 stores such bodies in files: test/http/router.test.ts",
  ],
  [/^(publish|removeEvents)$/, [429], "[publish] rate: test/http/publish.test.ts"],
  [/^(openStream|subscribe|subscribeByQuery)$/, [429], "max_per_address: test/http/limits.test.ts"],
  [/^changeTopics$/, [403], "a [[topic]] that needs a token: test/http/topic-rules.test.ts"],
  [/^removeEvents$/, [501], "a cluster of other versions"],
  [/^page/, [404], "a file of the installation is missing"],
  [/^(listSubscriptions.*|getSubscription.*)$/, [400, 404], "caused at one of the paths"],
];

interface Answer {
  readonly status: number;
  readonly type: string;
  readonly headers: IncomingMessage["headers"];
  readonly text: string;
}

interface Asked {
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

/** The beginning of a stream, the whole of everything else. */
function ask(base: string, method: string, path: string, { headers = {}, body }: Asked): Promise<Answer> {
  const url = new URL(base + path);
  const answer = new Promise<Answer>((resolve, reject) => {
    const sent = request(
      { host: url.hostname, port: url.port, path: url.pathname + url.search, method, headers, agent: false },
      (response) => {
        const type = (response.headers["content-type"] ?? "").replace(/;.*/, "");
        const status = response.statusCode ?? 0;
        let text = "";
        const end = () => resolve({ status, type, headers: response.headers, text });
        response.setEncoding("utf8").on("data", (some) => {
          text += some;
          if (type !== "text/event-stream") return;
          end();
          response.destroy();
        });
        response.on("end", end).on("error", reject);
      },
    );
    sent.on("error", reject).end(body);
  });
  return within(WAIT_TIMEOUT_MS, answer, `an answer to ${method} ${path}`);
}

describe("The daemon keeps what /openapi.json says", () => {
  const listen = { port: 0 };
  let admin = "";
  const config: Record<string, Record<string, unknown>> = {
    auth: { publisher_key: SECRET, subscriber_key: SECRET, anonymous: true },
    admin: { token: TOKEN },
  };
  before(async () => {
    listen.port = await freePort();
    admin = `http://127.0.0.1:${listen.port}`;
    (config.admin ?? {}).listen = `127.0.0.1:${listen.port}`;
  });
  const pair = pairOfSuite({ config });
  const ajv = new Ajv2020({ strict: false, validateFormats: false });
  let document: Json = {};
  /** "operationId status" */
  const seen = new Set<string>();

  before(async () => {
    const { text, status } = await ask(admin, "GET", "/openapi.json", {});
    assert.equal(status, 200);
    document = JSON.parse(text);
  });

  /** Asks, and compares the answer with the document. */
  async function check(
    base: string,
    template: string,
    method: string,
    path: string,
    status: number,
    asked: Asked = {},
  ) {
    const item: Json = document.paths?.[template] ?? assert.fail(`${template} is not documented`);
    const key = method.toLowerCase();
    const operation = item[key] ?? item[`x-${key}`] ?? assert.fail(`${method} ${template} is not documented`);
    const answer = await ask(base, method, path, asked);
    const what = `${method} ${path}: ${answer.status} ${answer.text.slice(0, 200)}`;
    assert.equal(answer.status, status, what);
    const docs = operation.responses?.[String(answer.status)] ?? assert.fail(`not documented: ${what}`);
    seen.add(`${operation.operationId} ${status}`);
    if (docs.content === undefined) {
      if (method !== "HEAD") assert.equal(answer.text, "", what);
      return answer;
    }
    const content = docs.content[answer.type] ?? assert.fail(`${answer.type} is not documented: ${what}`);
    const isJson = /[/+]json$/.test(answer.type);
    const validate = ajv.compile(content.schema ?? {});
    assert.ok(validate(isJson ? JSON.parse(answer.text) : answer.text), `${what} ${ajv.errorsText(validate.errors)}`);
    return answer;
  }
  const hub = (template: string, method: string, path: string, status: number, asked?: Asked) =>
    check(pair().mongrel2.url, template, method, path, status, asked);
  const own = (template: string, method: string, path: string, status: number, asked: Asked = {}) =>
    check(admin, template, method, path, status, { ...asked, headers: { ...bearer(TOKEN), ...asked.headers } });

  test("the document is OpenAPI 3.1", async () => {
    assert.equal(document.openapi, "3.1.0");
    const { valid, errors } = await new Validator().validate(JSON.parse(JSON.stringify(document)));
    assert.ok(valid, JSON.stringify(errors));
    const ids = Object.values(document.paths ?? {}).flatMap((item) =>
      Object.values(item).flatMap((it) => (it.operationId === undefined ? [] : [String(it.operationId)])),
    );
    assert.equal(new Set(ids).size, ids.length, "operation ids are unique");
    assert.ok(ids.length > 30);
  });

  for (const path of [STREAM, HUB]) {
    test(`streams at ${path}`, async () => {
      const [topic, last] = path === HUB ? ["topic=a", "the last of the hub"] : ["topic=b", "the last of the stream"];
      await hub(path, "GET", `${path}?${topic}`, 200);
      await hub(path, "HEAD", `${path}?${topic}`, 200);
      await hub(path, "GET", `${path}?${topic}&heartbeat=often`, 400);
      await hub(path, "GET", `${path}?${topic}`, 401, { headers: bearer("no.such.token") });
      await hub(path, "GET", `${path}?${topic}`, 401, {
        headers: { ...bearer("no.such.token"), accept: "application/problem+json" },
      });
      await hub(path, "OPTIONS", path, 204);
      const headers = { ...JSON_TYPE, ...bearer(await oldForAll()) };
      const body = JSON.stringify({ topic: last, data: "1", final: true });
      const { text } = await hub(HUB, "POST", HUB, 200, { headers, body });
      const ended = new URLSearchParams({ topic: last, lastEventID: JSON.parse(text).id });
      await hub(path, "GET", `${path}?${ended}`, 204);
    });
  }

  test("subscribing by QUERY", async () => {
    const ended = new URLSearchParams({ topic: "the last by QUERY" });
    await hub(HUB, "QUERY", HUB, 200, { headers: FORM, body: "topic=a" });
    await hub(HUB, "QUERY", HUB, 400, { headers: FORM, body: "nothing=1" });
    await hub(HUB, "QUERY", HUB, 401, { headers: { ...FORM, ...bearer("no.such.token") }, body: "topic=a" });
    await hub(HUB, "QUERY", HUB, 415, { headers: { ...FORM, "content-encoding": "gzip" }, body: "topic=a" });
    const headers = { ...JSON_TYPE, ...bearer(await oldForAll()) };
    const event = JSON.stringify({ topic: "the last by QUERY", data: "2", final: true });
    const { text } = await hub(HUB, "POST", HUB, 200, { headers, body: event });
    ended.set("lastEventID", JSON.parse(text).id);
    await hub(HUB, "QUERY", HUB, 204, { headers: FORM, body: ended.toString() });
  });

  test("publishing and taking back", async () => {
    const token = bearer(await oldForAll());
    const event = (topic: string, data = "1") => JSON.stringify({ topic, data });
    const post = (status: number, body: string, headers: Readonly<Record<string, string>> = {}) =>
      hub(HUB, "POST", HUB, status, { body, headers: { ...JSON_TYPE, ...token, ...headers } });
    await post(200, "topic=a&data=1", FORM);
    await post(200, event("a"));
    await post(200, `[${event("a")},${event("b")}]`);
    await post(400, "{}", { accept: "application/problem+json" });
    await post(400, "{}");
    await post(401, event("a"), bearer("no.such.token"));
    await post(403, event("a"), bearer(await old({ publish: ["b"] })));
    await post(412, event("a"), { "if-none-match": "*" });
    await post(413, event("a", "x".repeat(100_001)));
    await post(415, "a", { "content-type": "image/png" });
    await post(200, event("a"), { "idempotency-key": "one" });
    await post(422, event("a", "another"), { "idempotency-key": "one" });
    await post(501, event("a"), { "if-none-match": '"x"' });
    await post(200, event("kept"));
    await hub(HUB, "DELETE", `${HUB}?topic=a`, 200, { headers: token });
    await hub(HUB, "DELETE", HUB, 400, { headers: token });
    await hub(HUB, "DELETE", `${HUB}?topic=a`, 401);
    await hub(HUB, "DELETE", `${HUB}?topic=kept`, 403, { headers: bearer(await old({ publish: ["b"] })) });
    await hub(HUB, "DELETE", `${HUB}?id=never-published`, 404, { headers: token });
  });

  test("changing the topics of an open stream", async (t) => {
    const client = await pair().stream({}, `${HUB}?topic=a&control=1`);
    t.after(() => client.close());
    const name = client.headers["m2push-stream"];
    const template = `${HUB}/streams/{name}`;
    const path = `${HUB}/streams/${name}`;
    await hub(template, "PATCH", path, 200, { headers: FORM, body: "add=b" });
    await hub(template, "PATCH", path, 400, { headers: FORM, body: "nothing=1" });
    await hub(template, "PATCH", path, 401, { headers: { ...FORM, ...bearer("no.such.token") }, body: "add=b" });
    await hub(template, "PATCH", `${HUB}/streams/${"A".repeat(22)}`, 404, { headers: FORM, body: "add=b" });
    await hub(template, "PATCH", path, 415, { headers: JSON_TYPE, body: "{}" });
    await hub(template, "OPTIONS", path, 204);
  });

  test("active subscriptions", async (t) => {
    const client = await pair().stream({}, `${HUB}?topic=listed`);
    t.after(() => client.close());
    const token = bearer(await old({ subscribe: ["*"] }));
    for (const [template, path] of [
      [SUBSCRIPTIONS, SUBSCRIPTIONS],
      [`${SUBSCRIPTIONS}/{topic}`, `${SUBSCRIPTIONS}/listed`],
    ] as const) {
      const { headers, text } = await hub(template, "GET", path, 200, { headers: token });
      await hub(template, "HEAD", path, 200, { headers: token });
      await hub(template, "GET", path, 304, { headers: { ...token, "if-none-match": headers.etag ?? "" } });
      await hub(template, "GET", path, 401);
      await hub(template, "GET", path, 403, { headers: bearer(await old({ subscribe: ["other"] })) });
      await hub(template, "OPTIONS", path, 204);
      assert.ok(Array.isArray(JSON.parse(text).subscriptions));
    }
    const list = JSON.parse((await hub(SUBSCRIPTIONS, "GET", SUBSCRIPTIONS, 200, { headers: token })).text);
    const [one] = list.subscriptions;
    const two = `${SUBSCRIPTIONS}/{first}/{second}`;
    const { headers } = await hub(two, "GET", one.id, 200, { headers: token });
    await hub(two, "GET", one.id, 304, { headers: { ...token, "if-none-match": headers.etag ?? "" } });
    await hub(two, "GET", one.id, 401);
    await hub(two, "GET", one.id, 403, { headers: bearer(await old({ subscribe: ["other"] })) });
    await hub(two, "GET", `${SUBSCRIPTIONS}/listed/nobody`, 404, { headers: token });
    await hub(two, "OPTIONS", one.id, 204);
  });

  test("one active subscription of draft-08", async (t) => {
    const client = await pair().stream({}, `${HUB}?match=listed8`);
    t.after(() => client.close());
    const token = bearer(await access([detail(["subscribe"], [pattern("*")])]));
    const list = JSON.parse((await hub(SUBSCRIPTIONS, "GET", SUBSCRIPTIONS, 200, { headers: token })).text);
    const { id } = list.subscriptions.find(({ match }: { readonly match: string }) => match === "listed8");
    const template = `${SUBSCRIPTIONS}/{matchType}/{match}/{subscriber}`;
    const { headers } = await hub(template, "GET", id, 200, { headers: token });
    await hub(template, "GET", id, 304, { headers: { ...token, "if-none-match": headers.etag ?? "" } });
    await hub(template, "GET", id, 401);
    await hub(template, "GET", id, 403, { headers: bearer(await access([detail(["subscribe"], ["other"])])) });
    await hub(template, "OPTIONS", id, 204);
  });

  test("the metadata of the hub", async () => {
    const path = `/.well-known/oauth-protected-resource${HUB}`;
    const metadata = document.paths?.[path] ? [path] : [];
    for (const it of metadata) {
      await hub(it, "GET", it, 200);
      await hub(it, "HEAD", it, 200);
      await hub(it, "OPTIONS", it, 204);
    }
  });

  test("the admin address", async () => {
    for (const path of [
      "/metrics",
      "/healthz",
      "/readyz",
      "/status",
      "/config.schema.json",
      "/openapi.json",
      "/asyncapi.json",
    ]) {
      await own(path, "GET", path, 200);
      await own(path, "GET", path, 421, { headers: { host: "evil.example" } });
    }
    for (const path of Object.keys(document.paths ?? {}).filter((it) => /^\/([a-z-]+\.(js|css))?$/.test(it)))
      await own(path, "GET", path, 200);
  });

  test("operators' routes", async () => {
    const client = await pair().stream({}, `${STREAM}?topic=operated`);
    const listed = JSON.parse((await own("/clients", "GET", "/clients", 200)).text);
    const id = `/clients/main/${listed.clients[0].id}`;
    const [one, end] = ["/clients/{server}/{id}", "/clients/{server}/{id}/disconnect"];
    await own("/events", "GET", "/events", 200);
    await own("/clients", "GET", "/clients?limit=0", 400);
    await own("/clients", "GET", "/clients?server=none", 404);
    await own(one, "GET", id, 200);
    await own(one, "GET", "/clients/main/4294967295", 404);
    await own(end, "POST", `${id}/disconnect`, 200);
    await own(end, "POST", `${id}/disconnect`, 404);
    await own("/disconnect", "POST", "/disconnect?topic=operated", 200);
    await own("/disconnect", "POST", "/disconnect", 400);
    await own("/revoke", "POST", "/revoke?jti=one", 200);
    await own("/revoke", "POST", "/revoke", 400);
    for (const [template, method, path] of [
      ["/events", "GET", "/events"],
      ["/clients", "GET", "/clients"],
      [one, "GET", id],
      [end, "POST", `${id}/disconnect`],
      ["/disconnect", "POST", "/disconnect"],
      ["/revoke", "POST", "/revoke"],
    ] as const) {
      await own(template, method, path, 401, { headers: { authorization: "Bearer another" } });
      await own(template, method, path, 403, { headers: { "sec-fetch-site": "cross-site" } });
    }
    await client.close();
  });

  after(() => assert.ok(seen.size > 0));

  test("a daemon that is not ready", async () => {
    const { mongrel2, daemon } = pair();
    const from = daemon.log.length;
    await mongrel2.kill9();
    await daemon.logged(({ event }) => event === "link_lost", "the loss of the link", { from });
    await own("/readyz", "GET", "/readyz", 503);
  });

  test("every documented answer was given, exceptions apart", () => {
    /** On every path. Mongrel2 answers a chunked request itself; test/http/misdirected.test.ts has 421. */
    const common = [411, 421];
    const missing = Object.values(document.paths ?? {}).flatMap((item) =>
      Object.entries(item).flatMap(([method, operation]) => {
        if (operation.operationId === undefined || method === "head") return [];
        const id = String(operation.operationId);
        return Object.keys(operation.responses ?? {})
          .filter((status) => !common.includes(Number(status)) && !seen.has(`${id} ${status}`))
          .filter((status) => !EXCEPTIONS.some(([which, all]) => which.test(id) && all.includes(Number(status))))
          .map((status) => `${id} ${status}`);
      }),
    );
    assert.deepEqual(missing, [], "fix: cause these answers above, or remove them from the documentation of the route");
  });
});
