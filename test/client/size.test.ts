/** What the client costs a page: the files that m2push/client loads, its worker included. */
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { gzipSync } from "node:zlib";
import ts from "typescript";
import { PROJECT } from "../support/processes.js";

const MAX_GZIPPED_BYTES = 5000;
const BUILT = join(PROJECT, "html/client");

/**
 * What every minifier does at least: no comment, no space that separates nothing, short names of private members and constants, no import of
 * what is in the same bundle. (A real one also shortens the names of functions, classes and variables.)
 */
function minify(path: string, names: Map<string, string>): string {
  const tree = ts.createSourceFile(path, readFileSync(path, "utf8"), ts.ScriptTarget.Latest, true, ts.ScriptKind.JS);
  let text = "";
  const write = (token: string) => {
    const needsSpace = /[\w$#]$/.test(text) && /^[\w$#]/.test(token);
    text += needsSpace ? ` ${token}` : token;
  };
  const visit = (node: ts.Node): void => {
    if (ts.isImportDeclaration(node)) return;
    const isConstant = ts.isIdentifier(node) && /^[A-Z]+(?:_[A-Z]+)+$/.test(node.text);
    if ((ts.isPrivateIdentifier(node) || isConstant) && !names.has(node.text)) {
      const short = (names.size + 10).toString(36).replace(/^(?=\d)/, "_");
      names.set(node.text, isConstant ? `$${short}` : `#${short}`);
    }
    const children = node.getChildren(tree);
    if (children.length === 0) write(names.get(node.getText(tree)) ?? node.getText(tree));
    for (const child of children) visit(child);
  };
  visit(tree);
  return text;
}

describe("Client size", () => {
  test(`is below ${MAX_GZIPPED_BYTES} bytes, minified and gzipped`, (t) => {
    const names = new Map<string, string>();
    const scripts = readdirSync(BUILT).filter((name) => name.endsWith(".js"));
    const size = gzipSync(scripts.map((name) => minify(join(BUILT, name), names)).join("\n"), { level: 9 }).length;
    t.diagnostic(`${size} bytes`);
    assert.ok(size < MAX_GZIPPED_BYTES, `${size} bytes`);
    assert.ok(size > 1000, "the scripts were found");
  });

  test("has no dependency, and nothing that a content security policy must allow", () => {
    for (const name of readdirSync(BUILT).filter((it) => it.endsWith(".js"))) {
      const text = readFileSync(join(BUILT, name), "utf8");
      for (const [, from] of text.matchAll(/from "([^"]*)"/g)) assert.match(from ?? "", /^\.\//);
      assert.doesNotMatch(text, /\beval\b|new Function|Blob|data:text|blob:|innerHTML/);
    }
  });
});
