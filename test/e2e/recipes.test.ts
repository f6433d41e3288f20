/** The recipes of docs/recipes.md: each program of docs/examples as it stands, against Mongrel2, the daemon and a subscriber. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { before, describe, type TestContext, test } from "node:test";
import { fences, page } from "../docs/pages.js";
import { Changes } from "../support/deadline.js";
import { listening } from "../support/mongrel2.js";
import { pairOfSuite } from "../support/pair.js";
import { freePort } from "../support/ports.js";
import { Child, PROJECT, run } from "../support/processes.js";
import { ReverseProxy } from "../support/proxies.js";
import { openStream, type SseClient } from "../support/sse-client.js";
import "../support/path.js";

const PROGRAM = join(PROJECT, "dist/cli/main.js");
const KEY = "a secret of the hub that is long enough";
const PYTHON = "/usr/bin/python3";
const MAX_LINES = 35;
const example = (name: string) => join(PROJECT, "docs/examples/recipes", name);

/** A web application: a request to it publishes. */
interface Recipe {
  readonly file: string;
  readonly program: string;
  readonly topic: string;
  readonly path: string;
  readonly request: RequestInit;
  readonly status: number;
  /** Of the event. */
  readonly data: string;
  readonly type: string;
}

const form = (fields: Record<string, string>): RequestInit => ({ method: "POST", body: new URLSearchParams(fields) });
const json = (method: string, value: unknown): RequestInit => {
  return { method, body: JSON.stringify(value), headers: { "content-type": "application/json" } };
};

const RECIPES: readonly Recipe[] = [
  {
    ...{ file: "django_app.py", program: PYTHON, topic: "articles/7/comments", path: "/articles/7/comments" },
    ...{ request: form({ text: "héllo & more" }), status: 201, data: "héllo & more", type: "message" },
  },
  {
    ...{ file: "fastapi_app.py", program: PYTHON, topic: "prices/BTC", path: "/prices/BTC" },
    ...{ request: json("PUT", { value: 3.5 }), status: 200, data: '{"value": 3.5}', type: "price" },
  },
  {
    ...{ file: "wsgi_app.py", program: PYTHON, topic: "notes", path: "/" },
    ...{ request: { method: "POST", body: "a nöte" }, status: 201, data: "a nöte", type: "message" },
  },
  {
    ...{ file: "sinatra.rb", program: "ruby", topic: "orders/12", path: "/orders/12/status" },
    ...{ request: form({ status: "paid, ünd sent" }), status: 200, data: "paid, ünd sent", type: "message" },
  },
  {
    ...{ file: "express.mjs", program: process.execPath, topic: "rooms/lobby", path: "/rooms/lobby/messages" },
    ...{ request: json("POST", { text: "hi" }), status: 201, data: '{"text":"hi"}', type: "message" },
  },
];

describe("Recipes", { concurrency: 2 }, () => {
  const pair = pairOfSuite({ config: { auth: { publisher_key: KEY } } });
  const hub = () => `${pair().mongrel2.url}/.well-known/mercure`;
  let token = "";

  before(async () => {
    token = await makeToken("--publish", "*");
  });

  async function makeToken(...words: string[]): Promise<string> {
    const { output } = await run(
      process.execPath,
      [PROGRAM, "token", "make", ...words, "-c", pair().daemon.configFile],
      pair().dir,
    );
    return output.trim();
  }

  const environment = (more: NodeJS.ProcessEnv = {}): NodeJS.ProcessEnv => {
    return { ...process.env, LC_ALL: "C.UTF-8", MERCURE_URL: hub(), MERCURE_JWT: token, ...more };
  };

  async function subscriber(t: TestContext, topic: string, headers: Record<string, string> = {}): Promise<SseClient> {
    const client = await openStream(`${hub()}?topic=${encodeURIComponent(topic)}`, headers);
    assert.equal(client.status, 200);
    await client.until(({ lastEventId }) => lastEventId !== "", "its first position");
    t.after(() => client.close());
    return client;
  }

  for (const { file, program, topic, path, request, status, data, type } of RECIPES) {
    test(`${file}: a request to the application reaches the subscriber`, async (t) => {
      const port = await freePort();
      const app = new Child(program, [example(file)], pair().dir, environment({ PORT: `${port}` }));
      t.after(() => app.kill9());
      await listening(app, [port], () => app.stdout + app.stderr);
      const client = await subscriber(t, topic);
      const response = await fetch(`http://127.0.0.1:${port}${path}`, request);
      const text = await response.text();
      assert.equal(response.status, status, text + app.stderr);
      const event = await client.next();
      assert.deepEqual([event.type, event.data], [type, data]);
      assert.ok(text.includes(event.id), text);
    });
  }

  test("symfony.php: Symfony's Mercure component publishes a private update, unmodified", async (t) => {
    const topic = "https://example.com/books/1";
    const reader = await subscriber(t, topic, { authorization: `Bearer ${await makeToken("--subscribe", topic)}` });
    const stranger = await subscriber(t, topic);
    const { exit, output } = await run("php", [example("symfony.php"), topic, "OutOfStock"], pair().dir, environment());
    assert.equal(exit.code, 0, output);
    const event = await reader.next();
    assert.equal(event.data, '{"status":"OutOfStock"}');
    assert.equal(output, `${event.id}\n`);
    await pair().publisher.publish("public", topic);
    assert.equal((await stranger.next()).data, "public");

    const refused = await run(
      "php",
      [example("symfony.php"), topic, "x"],
      pair().dir,
      environment({ MERCURE_JWT: "a.b.c" }),
    );
    assert.notEqual(refused.exit.code, 0);
    assert.match(refused.output, /Failed to send an update/);
  });

  test("answer.mjs: every piece of an answer arrives in order, the stream ends, and a reload has all of it", async (t) => {
    const client = await subscriber(t, "answers/42");
    const words = Array.from({ length: 300 }, (_, at) => `wörd ${at}\n`);
    const child = spawn(process.execPath, [example("answer.mjs"), "answers/42"], {
      ...{ cwd: pair().dir, env: environment(), stdio: ["pipe", "inherit", "inherit"] },
    });
    t.after(() => child.kill("SIGKILL"));
    child.stdin?.write(words.slice(0, 10).join(""));
    const first = await client.next();
    for (const word of words.slice(10)) child.stdin?.write(word);
    child.stdin?.end();
    assert.deepEqual(await once(child, "exit"), [0, null]);
    await client.closed;
    assert.equal(client.events.at(-1)?.type, "done");
    assert.equal(client.events.map(({ data }) => data).join(""), words.join(""));
    assert.ok(client.events.length < words.length, `${client.events.length} events`);
    const again = await subscriber(t, "answers/42", { "last-event-id": "earliest" });
    await again.closed;
    assert.deepEqual(again.events, client.events);
    assert.equal(again.events[0]?.id, first.id);
    const done = await openStream(`${hub()}?topic=answers/42`, { "last-event-id": client.lastEventId });
    assert.equal(done.status, 204);
  });

  test("http2.mjs: 20 streams share one connection behind nginx, and each gets its events", async (t) => {
    const proxy = await ReverseProxy.before(pair().mongrel2, "nginx");
    t.after(() => proxy.stop());
    const child = new Child(
      process.execPath,
      [example("http2.mjs"), `https://localhost:${proxy.port}`, proxy.certificate],
      pair().dir,
    );
    t.after(() => child.kill9());
    const changes = new Changes();
    child.process.stdout?.on("data", () => changes.tell());
    const lines = (pattern: RegExp) =>
      changes.until(
        () => (child.stdout.match(pattern)?.length === 20 ? true : undefined),
        `20 lines ${pattern}`,
        20_000,
        () => child.stdout + child.stderr,
      );
    await lines(/^stream \d+: 200$/gm);
    for (let stream = 1; stream <= 20; stream++) await pair().publisher.publish(`event ${stream}`, `stream/${stream}`);
    await lines(/^stream (\d+): event \1$/gm);
  });

  test("the code in recipes.md is that of the programs", () => {
    const flat = (text: string) => text.replace(/^[ \t]+/gm, "").trim();
    const folder = join(PROJECT, "docs/examples/recipes");
    const programs = readdirSync(folder).map((name) => flat(readFileSync(join(folder, name), "utf8")));
    const blocks = fences({ path: "docs/recipes.md", text: page("docs/recipes.md") }).filter(
      ({ language, text }) => /^(?:php|python|ruby)$/.test(language) || text.startsWith("async function"),
    );
    assert.equal(blocks.length, 4);
    for (const { text } of blocks)
      assert.ok(
        programs.some((program) => program.includes(flat(text))),
        text,
      );
  });

  test("each is short", () => {
    for (const name of [...RECIPES.map(({ file }) => file), "symfony.php", "answer.mjs", "http2.mjs"]) {
      const count = readFileSync(example(name), "utf8").trimEnd().split("\n").length;
      assert.ok(count <= MAX_LINES, `${name} has ${count} lines`);
    }
  });
});
