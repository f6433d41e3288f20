/**
 * What the official conformance suites of Mercure check, in Chromium and in Firefox ESR: the 11 cases of the one for 0.x, and the 10 of
 * the one for draft-08. A page follows topics with EventSource and publishes with fetch(). The official suites wait two seconds for an
 * event that must not come; here another event follows it.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { BROWSERS, tabOf } from "../support/any-browser.js";
import { accessToAll, HUB, mercure, oldForAll } from "./mercure.js";

interface Case {
  readonly name: string;
  readonly topics: readonly string[];
  readonly matchers: readonly string[];
  readonly isPrivate?: true;
  readonly isReceived: boolean;
}

interface Suite {
  readonly name: string;
  readonly token: () => Promise<string>;
  readonly parameterOf: (matcher: string) => string;
  readonly cases: readonly Case[];
}

const BOOK = "https://example.net/foo/1f0c";
const NO_MATCH = "https://example.net/foo/will-not-match";

/** `pattern` matches BOOK and `other` does not match NO_MATCH, in the language of the dialect. */
function casesOf(what: string, pattern: string, other: string): Case[] {
  return [
    { name: "a name", topics: ["book"], matchers: ["book"], isReceived: true },
    { name: "several matchers", topics: ["book"], matchers: ["foo", "book"], isReceived: true },
    { name: "a URI", topics: [BOOK], matchers: [BOOK], isReceived: true },
    { name: `a ${what}`, topics: [BOOK], matchers: [pattern], isReceived: true },
    { name: "another name", topics: ["will-not-match"], matchers: ["another-name"], isReceived: false },
    { name: "another URI", topics: [NO_MATCH], matchers: [BOOK], isReceived: false },
    { name: `another ${what}`, topics: [NO_MATCH], matchers: [other], isReceived: false },
    { name: "a private name", topics: ["book"], matchers: ["book"], isPrivate: true, isReceived: false },
    { name: "a private URI", topics: [BOOK], matchers: [BOOK], isPrivate: true, isReceived: false },
    { name: `a private ${what}`, topics: [BOOK], matchers: [pattern], isPrivate: true, isReceived: false },
  ];
}

const SUITES: readonly Suite[] = [
  {
    name: "0.x",
    token: oldForAll,
    parameterOf: () => "topic",
    cases: [
      ...casesOf("URI template", "https://example.net/foo/{random}", "https://example.net/bar/{var}"),
      { name: "several topics", topics: ["canonical", "book"], matchers: ["book"], isReceived: true },
    ],
  },
  {
    name: "draft-08",
    token: accessToAll,
    parameterOf: (matcher) => (matcher.includes("/:") ? "match_urlpattern" : "match"),
    cases: casesOf("URL pattern", "https://example.net/foo/:random", "https://example.net/bar/:var"),
  },
];

/** Follows a query, and resolves when the stream is open. */
const follow = (query: string) => `new Promise((resolve) => {
  window.heard = [];
  window.looks = [];
  window.source = new EventSource(${JSON.stringify(`${HUB}?${query}`)});
  source.onmessage = ({ type, data, lastEventId }) => {
    heard.push([type, data, lastEventId]);
    for (const look of looks) look();
  };
  source.onopen = () => resolve(true);
})`;

const publish = (fields: URLSearchParams, token: string) => `fetch(${JSON.stringify(HUB)}, {
  method: "POST",
  headers: { Authorization: "Bearer ${token}" },
  body: new URLSearchParams(${JSON.stringify(fields.toString())}),
}).then(async (response) => [response.status, response.headers.get("content-type"), await response.text()])`;

/** What the page received before the event with this id. */
const heardBefore = (id: string) => `new Promise((resolve) => {
  const look = () => {
    const end = heard.findIndex(([, , lastEventId]) => lastEventId === ${JSON.stringify(id)});
    if (end < 0) return;
    source.close();
    resolve(heard.slice(0, end));
  };
  looks.push(look);
  look();
})`;

const hub = mercure({ html: { "index.html": '<!doctype html><link rel="icon" href="data:,">' } });

describe("Conformance, end to end", () => {
  for (const browser of BROWSERS) {
    describe(`in ${browser.name}`, () => {
      const tab = tabOf(browser);

      for (const { name: dialect, token, parameterOf, cases } of SUITES) {
        for (const { name, topics, matchers, isPrivate, isReceived } of cases) {
          test(`Mercure ${dialect}, ${name}: the page ${isReceived ? "receives" : "does not receive"} the event`, async () => {
            const query = new URLSearchParams();
            for (const matcher of [...matchers, "end"]) query.append(parameterOf(matcher), matcher);
            const id = `id-${dialect}-${browser.name}-${JSON.stringify([name, topics])}`;
            const data = `data for\n\n        ${name}`;
            const fields = new URLSearchParams({ id, data });
            for (const topic of topics) fields.append("topic", topic);
            if (isPrivate) fields.set("private", "on");
            await tab().goto(hub.pair.mongrel2.url);
            await tab().evaluate(follow(query.toString()));
            const answer = await tab().evaluate(publish(fields, await token()));
            assert.deepEqual(answer, [200, "text/plain; charset=utf-8", id]);
            const end = await hub.published({ topic: "end", data: "end" });
            assert.deepEqual(await tab().evaluate(heardBefore(end)), isReceived ? [["message", data, id]] : []);
          });
        }
      }
    });
  }

  test("as many cases as the official suites have", () => {
    assert.deepEqual(
      SUITES.map(({ cases }) => cases.length),
      [11, 10],
    );
  });
});
