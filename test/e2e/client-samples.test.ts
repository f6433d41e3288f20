/**
 * The samples for React and Vue in docs/examples with the real React (StrictMode) and the real Vue, in a real browser, against a real
 * hub. Their types are checked against those of React, Vue and m2push/client.
 */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, type TestContext, test } from "node:test";
import type { Page } from "playwright-core";
import ts from "typescript";
import { HTML, openBrowser, openPage } from "../support/browser.js";
import { pairOfSuite } from "../support/pair.js";
import { PROJECT } from "../support/processes.js";

const read = (path: string) => readFileSync(join(PROJECT, path), "utf8");
const sample = (name: string) => join(PROJECT, "docs/examples", name);

/** React has CommonJS modules only: they become functions of one script, and `names` of each an ES module. */
const REACT: Readonly<Record<string, { readonly file: string; readonly names: string }>> = {
  react: { file: "react/cjs/react.development.js", names: "StrictMode, createElement, useEffect, useState" },
  "react/jsx-runtime": { file: "react/cjs/react-jsx-runtime.development.js", names: "jsx, jsxs" },
  "react-dom": { file: "react-dom/cjs/react-dom.development.js", names: "version" },
  "react-dom/client": { file: "react-dom/cjs/react-dom-client.development.js", names: "createRoot" },
  scheduler: { file: "scheduler/cjs/scheduler.development.js", names: "unstable_now" },
};
const pathOf = (name: string) => `modules/${name.replace("/", "-")}.js`;

function reactFiles(): Record<string, string> {
  const functions = Object.entries(REACT).map(
    ([name, { file }]) =>
      `${JSON.stringify(name)}(require, module, exports, process) {${read(`node_modules/${file}`)}\n}`,
  );
  const loader = `const modules = {}, process = { env: {} };
const functions = {${functions.join(",\n")}};
export function require(name) {
  if (!modules[name]) functions[name](require, (modules[name] = { exports: {} }), modules[name].exports, process);
  return modules[name].exports;
}`;
  const modules = Object.entries(REACT).map(([name, { names }]) => [
    pathOf(name),
    `import { require } from "./commonjs.js";\nexport const { ${names} } = require(${JSON.stringify(name)});`,
  ]);
  return { "modules/commonjs.js": loader, ...Object.fromEntries(modules) };
}

function compiled(name: string): string {
  const { outputText } = ts.transpileModule(readFileSync(sample(name), "utf8"), {
    fileName: name,
    compilerOptions: { module: ts.ModuleKind.ESNext, target: ts.ScriptTarget.ES2022, jsx: ts.JsxEmit.ReactJSX },
  });
  return outputText;
}

const IMPORTS = {
  "m2push/client": "/client/index.js",
  vue: "/modules/vue.js",
  ...Object.fromEntries(Object.keys(REACT).map((name) => [name, `/${pathOf(name)}`])),
};
const page = (script: string) =>
  `<!doctype html><link rel="icon" href="data:,"><script type="importmap">${JSON.stringify({ imports: IMPORTS })}</script>
<div id="app"></div><script type="module">${script}</script>`;

const REACT_PAGE = page(`
import { StrictMode, createElement } from "react";
import { createRoot } from "react-dom/client";
import { News } from "./react-stream.js";
const root = createRoot(document.getElementById("app"));
globalThis.render = () => root.render(createElement(StrictMode, null, createElement(News)));
globalThis.unmount = () => root.unmount();
render();`);
const VUE_PAGE = page(`
import { createApp, h, ref } from "vue";
import { useStream } from "./vue-stream.js";
const topics = ref(["news"]);
const app = createApp({
  setup() {
    const { state, events } = useStream(() => topics.value);
    return () => h("ul", { "aria-busy": state.value !== "open" }, events.value.map(({ data }) => h("li", data)));
  },
});
app.mount("#app");
globalThis.change = (next) => { topics.value = next; };
globalThis.unmount = () => app.unmount();`);

describe("Client samples, end to end", () => {
  const pair = pairOfSuite({
    html: {
      ...HTML,
      ...reactFiles(),
      "modules/vue.js": read("node_modules/vue/dist/vue.runtime.esm-browser.prod.js"),
      "react-stream.js": compiled("react-stream.tsx"),
      "vue-stream.js": compiled("vue-stream.ts"),
      "react.html": REACT_PAGE,
      "vue.html": VUE_PAGE,
    },
  });
  const open = async (t: TestContext, name: string) => openPage(await openBrowser(t), `${pair().mongrel2.url}/${name}`);
  const isOpen = (it: Page) => it.locator("ul[aria-busy=false]").waitFor({ state: "attached" });
  const items = (it: Page) => it.locator("li").allTextContents();
  const shown = (it: Page, text: string) => it.locator("li", { hasText: text }).waitFor();
  const connects = () => pair().daemon.log.filter(({ event }) => event === "connect").length;
  const disconnected = (from: number) =>
    pair().daemon.logged(({ event }) => event === "disconnect", "the stream to be closed", { from });

  test("their types are those of React, Vue and the client", () => {
    const program = ts.createProgram([sample("react-stream.tsx"), sample("vue-stream.ts")], {
      ...{ strict: true, noEmit: true, skipLibCheck: true, noUnusedLocals: true, exactOptionalPropertyTypes: true },
      module: ts.ModuleKind.ESNext,
      moduleResolution: ts.ModuleResolutionKind.Bundler,
      target: ts.ScriptTarget.ES2022,
      jsx: ts.JsxEmit.ReactJSX,
      types: [],
    });
    const found = ts.getPreEmitDiagnostics(program).map((it) => ts.flattenDiagnosticMessageText(it.messageText, "\n"));
    assert.deepEqual(found, []);
  });

  test("the React component shows the newest events first, is rendered again without a reconnect, and closes its stream", async (t) => {
    const { page: it, faults } = await open(t, "react.html");
    await isOpen(it);
    await pair().publisher.publish("1", "news");
    await pair().publisher.publish("2", "news");
    await shown(it, "2");
    assert.deepEqual(await items(it), ["2", "1"]);
    const before = connects();
    await it.evaluate("render()");
    await pair().publisher.publish("3", "news");
    await shown(it, "3");
    assert.deepEqual([await items(it), connects()], [["3", "2", "1"], before]);
    const from = pair().daemon.log.length;
    await it.evaluate("unmount()");
    await disconnected(from);
    assert.deepEqual(faults, []);
  });

  test("the Vue composable does the same, and changes its topics on the open stream", async (t) => {
    const { page: it, faults } = await open(t, "vue.html");
    await isOpen(it);
    await pair().publisher.publish("of news", "news");
    await shown(it, "of news");
    const before = connects();
    const changed = it.waitForResponse((response) => response.request().method() === "PATCH");
    await it.evaluate("change(['weather'])");
    assert.equal((await changed).status(), 200);
    await pair().publisher.publish("more news", "news");
    await pair().publisher.publish("of weather", "weather");
    await shown(it, "of weather");
    assert.deepEqual([await items(it), connects()], [["of weather", "of news"], before]);
    const from = pair().daemon.log.length;
    await it.evaluate("unmount()");
    await disconnected(from);
    assert.deepEqual(faults, []);
  });
});
