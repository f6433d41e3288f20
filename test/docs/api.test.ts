/** docs/api is generated from src/index.ts: `npm run docs`. test/docs/e2e compares all of it. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import ts from "typescript";
import { PROJECT } from "../support/processes.js";

describe("API reference", () => {
  const read = (path: string) => readFileSync(join(PROJECT, path), "utf8");

  test("describes every name that the package exports, and no other", () => {
    const source = ts.createSourceFile("index.ts", read("src/index.ts"), ts.ScriptTarget.Latest);
    const exported = source.statements.flatMap((statement) =>
      ts.isExportDeclaration(statement) && statement.exportClause && ts.isNamedExports(statement.exportClause)
        ? statement.exportClause.elements.map(({ name }) => name.text)
        : [],
    );
    const described = [...read("docs/api/README.md").matchAll(/^### (\w+)/gm)].map(([, name]) => name ?? "");
    assert.deepEqual(described.toSorted(), exported.toSorted(), "npm run docs");
  });
});
