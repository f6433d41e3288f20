/** The samples of docs/examples that use m2push/client: compiled, and run with the few functions of React and Vue that they use. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { pathToFileURL } from "node:url";
import ts from "typescript";
import { Changes } from "../support/deadline.js";
import { fakeFetch, turn } from "../support/fake-fetch.js";
import { Child, PROJECT, removeDirectory, temporaryDirectory } from "../support/processes.js";

const HUB = "http://hub.example/.well-known/mercure";
const OPEN = 'event: m2push-open\nid: #e.5\ndata: {"stream":"name"}\n\n';

/** One render: states are cells, effects run at once, and what they return is left to the test. */
const REACT = `
export const cells = [], cleanups = [];
export function useState(value) {
  const at = cells.push(value) - 1;
  return [value, (next) => { cells[at] = typeof next === "function" ? next(cells[at]) : next; }];
}
export const useEffect = (effect) => cleanups.push(effect());
`;
const VUE = `
export const ref = (value) => ({ value });
export const shallowRef = ref;
export const watches = [], disposals = [];
export const watch = (...args) => watches.push(args);
export const onScopeDispose = (dispose) => disposals.push(dispose);
`;

const folder = temporaryDirectory();
after(() => removeDirectory(folder));
const modules = join(folder, "node_modules");
for (const [name, text] of Object.entries({ react: REACT, vue: VUE })) {
  mkdirSync(join(modules, name), { recursive: true });
  writeFileSync(
    join(modules, name, "package.json"),
    '{"type":"module","exports":{".":"./index.js","./jsx-runtime":"./index.js"}}',
  );
  writeFileSync(join(modules, name, "index.js"), `${text}\nexport const jsx = (type, props) => ({ type, props });\n`);
}
symlinkSync(PROJECT, join(modules, "m2push"));
writeFileSync(join(folder, "package.json"), '{"type":"module"}');

/** Compiles a sample; returns its exports. */
async function load(name: string): Promise<Record<string, unknown>> {
  const { outputText, diagnostics } = ts.transpileModule(readFileSync(join(PROJECT, "docs/examples", name), "utf8"), {
    fileName: name,
    reportDiagnostics: true,
    compilerOptions: { module: ts.ModuleKind.ESNext, target: ts.ScriptTarget.ES2022, jsx: ts.JsxEmit.ReactJSX },
  });
  assert.deepEqual(
    diagnostics?.map(({ messageText }) => messageText),
    [],
  );
  const path = join(folder, name.replace(/\.tsx?$/, ".js"));
  writeFileSync(path, outputText);
  return (await import(pathToFileURL(path).href)) as Record<string, unknown>;
}

const stub = (name: string) => import(pathToFileURL(join(modules, name, "index.js")).href);

describe("Client samples", () => {
  test("the React hook shows the state and the newest events first, and closes its stream", async (t) => {
    const net = fakeFetch(t);
    const { useStream } = await load("react-stream.tsx");
    const { cells, cleanups } = (await stub("react")) as {
      cells: [string, { data: string }[]];
      cleanups: (() => void)[];
    };
    (useStream as (topics: string[], url: string) => void)(["news"], HUB);
    const request = (await net.request(0)).open(`${OPEN}data: 1\n\ndata: 2\n\n`);
    await turn();
    assert.deepEqual(
      [request.url.searchParams.get("topic"), cells[0], cells[1].map(({ data }) => data)],
      ["news", "open", ["2", "1"]],
    );
    for (const cleanup of cleanups) cleanup();
    assert.equal(request.isAborted, true);
  });

  test("the Vue composable does the same, and changes its topics", async (t) => {
    const net = fakeFetch(t);
    const { useStream } = await load("vue-stream.ts");
    const { watches, disposals } = (await stub("vue")) as {
      watches: [unknown, (now: string[], before: string[]) => void][];
      disposals: (() => void)[];
    };
    type Composable = (
      topics: () => string[],
      url: string,
    ) => { state: { value: string }; events: { value: { data: string }[] } };
    const { state, events } = (useStream as Composable)(() => ["news"], HUB);
    const request = (await net.request(0)).open(`${OPEN}data: 1\n\n`);
    await turn();
    assert.deepEqual([state.value, events.value.map(({ data }) => data)], ["open", ["1"]]);
    watches[0]?.[1](["weather"], ["news"]);
    const patch = await net.request(1);
    assert.equal(patch.body, "add=weather&remove=news");
    patch.answer(200, "{}");
    for (const dispose of disposals) dispose();
    assert.equal(request.isAborted, true);
  });

  test("the program for Node.js prints events, and goes on after a broken connection", async (t) => {
    const streams: ServerResponse[] = [];
    const changes = new Changes();
    const server = createServer((_, response) => {
      response.writeHead(200, { "content-type": "text/event-stream" }).write(`retry: 100\n${OPEN}`);
      streams.push(response);
      changes.tell();
    }).listen(0, "127.0.0.1");
    await once(server, "listening");
    t.after(() => server.close());
    writeFileSync(join(folder, "subscribe.mjs"), readFileSync(join(PROJECT, "docs/examples/subscribe.mjs")));
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
    const child = new Child(process.execPath, [join(folder, "subscribe.mjs"), "news", url], folder, process.env);
    t.after(() => child.end("SIGTERM"));
    child.process.stdout?.on("data", () => changes.tell());
    const stream = (index: number) => changes.until(() => streams[index], `request ${index}`);
    (await stream(0)).end("id: #e.6\ndata: 1\n\n");
    (await stream(1)).write("id: #e.7\ndata: 2\n\n");
    await changes.until(() => child.stdout === "1\n2\n", "both events");
    assert.match(child.stderr, /^ended; next attempt in 1\d\d\.?\d* ms\n$/);
  });
});
