/** Hostile requests: whatever the query, form, header or token is, the answer is a stream, a 200 or a 4xx, and the next good request is served. */
import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { describe, test } from "node:test";
import fc from "fast-check";
import { DETAIL, everything, everythingV8, HUB, NOW, type Response, SECRET, type Sent, Web } from "../http/harness.js";
import { anyCharacter } from "../support/arbitraries.js";

const TOKEN = await everything();
const TOKEN_V8 = await everythingV8();
const FORM = { "content-type": "application/x-www-form-urlencoded" };

/** Words that mean something, so that some inputs get far. */
const word = fc.constantFrom(
  "topic",
  "match",
  "match_exact",
  "match_urlpattern",
  "Match",
  "match_regexp",
  "last_event_id",
  "lastEventID",
  "authorization",
  "data",
  "private",
  "id",
  "type",
  "retry",
  "*",
  "earliest",
  "mercure",
  "m2push-gap",
  HUB,
  `${HUB}/subscriptions`,
  "news",
  "{x}",
  "%7Bx%7D",
  "{+x,y*}",
  "/:id",
  "/a(b|c)*",
  "(.*)*x",
  "https://[bad",
  "http://e.com/:x?q=*#f",
  "//",
  "..",
  "%2e%2e",
  "%00",
  "%0A",
  "%E2%80%8B",
  "%ff",
  "%ed%a0%80",
  "%",
  "=",
  "&",
  "+",
  "\0",
  "\n",
  "é",
  "\ud800",
  "9".repeat(400),
  "x".repeat(5_000),
  "{".repeat(300),
  "(".repeat(300),
  "__proto__",
  "constructor",
);
const text = fc.oneof(
  word,
  fc.string(),
  fc.string({ unit: anyCharacter }),
  fc.array(word, { maxLength: 6 }).map((words) => words.join("")),
);
const query = fc.oneof(
  text,
  fc
    .array(fc.tuple(text, text), { maxLength: 8 })
    .map((pairs) => pairs.map(([name, value]) => `${name}=${value}`).join("&")),
  fc
    .array(fc.tuple(word, word), { maxLength: 8 })
    .map((pairs) => pairs.map(([name, value]) => `${name}=${value}`).join("&")),
);

/** Asserts the status, and that a good publish reaches a good subscriber afterwards. */
async function survived(web: Web, { status }: Response): Promise<void> {
  const isRefused = (status >= 400 && status < 500) || status === 501;
  assert.ok(status === 200 || status === 204 || isRefused, `${status}: ${web.answered.at(-1)}`);
  const id = web.send("/esupdates", { query: "topic=still-here" });
  const token = web.config.hub.protocol === "0.x" ? TOKEN : TOKEN_V8;
  const sent = await web.post("topic=still-here&data=yes", { token });
  assert.equal(sent.status, 200);
  assert.deepEqual(web.events(id), ["yes"]);
  web.hub.leave(web.server, id, "left");
}

/** One web for all runs of a property: what one request breaks, the next one shows. */
function hostile(name: string, sent: fc.Arbitrary<{ readonly path: string } & Sent>, config = "", numRuns = 300): void {
  test(name, async () => {
    const web = await Web.open({ config });
    const run = async ({ path, ...rest }: { readonly path: string } & Sent) => {
      await survived(web, await web.get(path, rest));
      for (const { id } of [...web.server.clients.values()]) web.hub.leave(web.server, id, "left");
    };
    await fc.assert(fc.asyncProperty(sent, run), { numRuns });
    assert.deepEqual(
      web.answered.filter((line) => /^\S+ 500\b/.test(line)),
      [],
    );
  });
}

const path = fc.constantFrom("/esupdates", HUB, `${HUB}/subscriptions`, `/.well-known/oauth-protected-resource${HUB}`);

describe("HTTP, fuzzed", () => {
  for (const protocol of ["both", "0.x", "draft-08"]) {
    hostile(
      `query strings of every method and address (${protocol})`,
      fc.record({ path, query, method: fc.constantFrom("GET", "HEAD", "QUERY", "OPTIONS", "POST", "DELETE") }),
      `[hub]\nprotocol = "${protocol}"`,
    );
  }

  hostile(
    "forms, asked for by QUERY and published by POST, with and without a token",
    fc
      .record({
        body: fc.oneof(query, fc.uint8Array({ maxLength: 200 })),
        method: fc.constantFrom("QUERY", "POST"),
        isKnown: fc.boolean(),
      })
      .map(({ body, method, isKnown }) => ({
        path: HUB,
        method,
        body: typeof body === "string" ? body : Buffer.from(body),
        headers: { ...FORM, ...(isKnown && { authorization: `Bearer ${TOKEN}` }) },
      })),
  );

  const headerName = fc.constantFrom(
    "authorization",
    "cookie",
    "origin",
    "referer",
    "last-event-id",
    "content-type",
    "connection",
    "if-none-match",
    "x-mongrel2-upload-done",
    "__proto__",
  );
  const headerValue = fc.oneof(
    text,
    text.map((it) => `Bearer ${it}`),
    text.map((it) => `__Secure-mercure_access_token=${it}; mercureAuthorization="${it}`),
    fc.constantFrom(`Bearer ${TOKEN}`, `bearer  ${TOKEN}`, "null", "*", "http://localhost:6767", "close", "earliest"),
  );
  hostile(
    "headers of every kind, once and several times",
    fc.record({
      path,
      method: fc.constantFrom("GET", "POST", "OPTIONS", "QUERY"),
      query: fc.constantFrom("topic=a", "match=a", ""),
      body: fc.constantFrom("", "topic=a"),
      headers: fc
        .array(fc.tuple(headerName, fc.oneof(headerValue, fc.array(headerValue, { minLength: 1, maxLength: 5 }))), {
          maxLength: 5,
        })
        .map((pairs): Record<string, string | readonly string[]> => ({ ...FORM, ...Object.fromEntries(pairs) })),
    }),
    '[auth]\ncors_origins = ["https://shop.example", "*"]',
  );

  const segment = fc.oneof(
    fc.constantFrom("exact", "urlpattern", "topic", "", "*", "%2F", "%ff", "%", "..", "a"),
    text,
  );
  hostile(
    "addresses below the list of subscriptions, asked by somebody who may see them all",
    fc.record({ segments: fc.array(segment, { maxLength: 5 }), isNew: fc.boolean() }).map(({ segments, isNew }) => ({
      path: [`${HUB}/subscriptions`, ...segments].join("/"),
      headers: { authorization: `Bearer ${isNew ? TOKEN_V8 : TOKEN}` },
    })),
  );

  /** Signed with the right key, whatever it says: what comes after the signature is tried. */
  function signed(header: unknown, claims: unknown): string {
    const part = (value: unknown) =>
      Buffer.from(typeof value === "string" ? value : JSON.stringify(value)).toString("base64url");
    const input = `${part(header)}.${part(claims)}`;
    return `${input}.${createHmac("sha256", SECRET).update(input).digest("base64url")}`;
  }

  const json = fc.oneof(
    fc.jsonValue(),
    text,
    fc.constantFrom(null, [], {}, -1, Number.MAX_VALUE, "1", [["*"]], [{ match: "*" }]),
  );
  const topics = fc.oneof(json, fc.array(fc.record({ match: json, match_type: json }, { requiredKeys: [] })));
  const entry = fc.record(
    {
      type: fc.oneof(fc.constant(DETAIL), json),
      actions: fc.oneof(fc.constant(["publish", "subscribe"]), json),
      topics,
      payload: json,
    },
    { requiredKeys: ["type"] },
  );
  const claims = fc.record(
    {
      exp: fc.oneof(fc.constant(NOW + 3600), json),
      nbf: fc.oneof(fc.constant(NOW - 1), json),
      iss: fc.oneof(fc.constant("https://login.example"), json),
      aud: fc.oneof(fc.constant(`http://localhost:6767${HUB}`), json),
      sub: json,
      mercure: fc.oneof(json, fc.record({ publish: json, subscribe: json, payload: json }, { requiredKeys: [] })),
      "https://mercure.rocks/": json,
      authorization_details: fc.oneof(json, fc.array(fc.oneof(entry, json))),
    },
    { requiredKeys: [] },
  );
  const header = fc.record(
    {
      alg: fc.oneof(fc.constant("HS256"), json),
      typ: fc.oneof(fc.constantFrom("JWT", "at+jwt", "application/AT+JWT"), json),
      kid: json,
      crit: json,
      jwk: json,
      zip: json,
    },
    { requiredKeys: ["alg"] },
  );
  const carried = (token: string, by: string) =>
    by === "query"
      ? { query: `topic=a&authorization=${token}` }
      : { query: "topic=a", headers: { authorization: `Bearer ${token}` } };
  const carrier = fc.constantFrom("header", "query");

  hostile(
    "tokens that are signed well and say anything",
    fc
      .tuple(header, fc.oneof(claims, json), carrier)
      .map(([head, body, by]) => ({ path: HUB, ...carried(signed(head, body), by) })),
    "",
    1000,
  );

  hostile(
    "tokens with one character changed, left out or doubled",
    fc.tuple(fc.constantFrom(TOKEN, TOKEN_V8), fc.nat(), text, carrier).map(([token, at, other, by]) => {
      const place = at % token.length;
      return { path: HUB, ...carried(token.slice(0, place) + other + token.slice(place + (at % 2)), by) };
    }),
  );
});
