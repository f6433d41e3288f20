/**
 * The layering of the source, read from its import lines: who may import whom, who alone may import a package, and which
 * files or functions have grown beyond a screen without a written reason.
 */
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, normalize, relative } from "node:path";
import { describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import ts from "typescript";

/** The project's root, from build/test/architecture. */
const ROOT = join(dirname(fileURLToPath(import.meta.url)), "../../..");
const SRC = join(ROOT, "src");

/** A file imports only from a lower rank, or from its own folder. Top-level files are ranked by name. */
const RANK: Readonly<Record<string, number>> = {
  "errors.ts": 0,
  util: 0,
  "api-docs": 0.5,
  protocol: 1,
  config: 1,
  matching: 2,
  zmq: 2,
  delivery: 3,
  hub: 4,
  "client-events": 4.5,
  storage: 5,
  cluster: 5,
  mongrel2: 6,
  http: 6,
  publishing: 5,
  ingress: 6,
  observability: 6,
  daemon: 7,
  "daemon.ts": 8,
  "index.ts": 9,
  cli: 9,
};

/** Packages that only one place may import. */
const OWNERS: Readonly<Record<string, RegExp>> = {
  zeromq: /^zmq\//,
  commander: /^cli\//,
  pino: /^observability\/log\//,
  "pino-pretty": /^observability\/log\//,
  "smol-toml": /^config\//,
  "@nats-io/jetstream": /^cluster\/(?:nats(-follow|-connection)?|retry-without-leader)\.ts$/,
  "@nats-io/transport-node": /^cluster\/nats(-follow|-connection)?\.ts$/,
  jose: /^http\/auth\//,
  "prom-client": /^observability\/metrics\//,
  "node-sqlite3-wasm": /^mongrel2\/mongrel2-database\.ts$/,
  "@opentelemetry/api": /^observability\/traces\//,
  "@opentelemetry/sdk-trace-base": /^observability\/traces\//,
  "@opentelemetry/resources": /^observability\/traces\//,
  "@opentelemetry/exporter-trace-otlp-http": /^observability\/traces\//,
  lmdb: /^storage\/(lmdb\/lmdb-(store|backup)|clients\/client-files|client-events\/lmdb-event-store)\.ts$/,
};

/** A longer file or function needs a reason, given where it begins: "// Long because ...". */
const MAX_FILE = 300;
const MAX_FUNCTION = 50;
const REASON = /Long because \S+/;

interface Source {
  readonly path: string;
  readonly room: string;
  readonly tree: ts.SourceFile;
}

const sources: Source[] = readdirSync(SRC, { recursive: true, encoding: "utf8" })
  .filter((path) => path.endsWith(".ts"))
  .map((path) => ({
    path,
    room: path.split("/")[0] ?? path,
    tree: ts.createSourceFile(path, readFileSync(join(SRC, path), "utf8"), ts.ScriptTarget.Latest, true),
  }));

/** Every module a file names: static, type-only and dynamic imports, and re-exports. */
function imports(source: Source): readonly string[] {
  const known = importsOf.get(source) ?? readImports(source);
  importsOf.set(source, known);
  return known;
}

const importsOf = new Map<Source, readonly string[]>();

function readImports({ tree }: Source): string[] {
  const found: string[] = [];
  const visit = (node: ts.Node): void => {
    const named = ts.isImportDeclaration(node) || ts.isExportDeclaration(node) ? node.moduleSpecifier : undefined;
    const called =
      ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword ? node.arguments[0] : undefined;
    const type = ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument) ? node.argument.literal : undefined;
    for (const text of [named, called, type]) if (text && ts.isStringLiteral(text)) found.push(text.text);
    ts.forEachChild(node, visit);
  };
  visit(tree);
  return found;
}

describe("Layers", () => {
  test("every room has a rank", () => {
    const unranked = sources.filter(({ room }) => RANK[room] === undefined).map(({ path }) => path);
    assert.deepEqual(unranked, []);
  });

  test("a file imports only from a lower rank or its own folder", () => {
    const breaches = sources.flatMap((source) =>
      imports(source)
        .filter((name) => name.startsWith("."))
        .map((name) => normalize(join(dirname(source.path), name)))
        .filter((target) => {
          const room = target.split("/")[0]?.replace(/\.js$/, ".ts") ?? target;
          return room !== source.room && !((RANK[room] ?? 99) < (RANK[source.room] ?? -1));
        })
        .map((target) => `${source.path} -> ${target}`),
    );
    assert.deepEqual(breaches, []);
  });

  test("a package with an owner is imported by its owner only", () => {
    const breaches = sources.flatMap((source) =>
      imports(source)
        .filter((name) => OWNERS[name] && !OWNERS[name].test(source.path))
        .map((name) => `${source.path} -> ${name}`),
    );
    assert.deepEqual(breaches, []);
  });

  test("no file imports itself through others, types included", () => {
    const paths = new Set(sources.map(({ path }) => path));
    const targets = (source: Source) =>
      imports(source)
        .filter((name) => name.startsWith("."))
        .map((name) => normalize(join(dirname(source.path), name)).replace(/\.js$/, ".ts"))
        .filter((target) => paths.has(target));
    const graph = new Map(sources.map((source) => [source.path, targets(source)]));
    const cycles: string[] = [];
    const done = new Set<string>();
    const walk = (path: string, trail: readonly string[]): void => {
      if (trail.includes(path)) cycles.push([...trail.slice(trail.indexOf(path)), path].join(" -> "));
      if (trail.includes(path) || done.has(path)) return;
      for (const next of graph.get(path) ?? []) walk(next, [...trail, path]);
      done.add(path);
    };
    for (const path of graph.keys()) walk(path, []);
    assert.deepEqual(cycles, []);
  });

  test("files over 300 lines and functions over 50 carry a written reason", () => {
    const long: string[] = [];
    for (const { path, tree } of sources) {
      const lines = tree.getLineStarts().length;
      if (lines > MAX_FILE && !REASON.test(tree.text.slice(0, 3000))) long.push(`${path}: ${lines} lines`);
      const visit = (node: ts.Node): void => {
        if (ts.isFunctionLike(node) && "body" in node && node.body) {
          const first = tree.getLineAndCharacterOfPosition(node.getStart(tree)).line;
          const last = tree.getLineAndCharacterOfPosition(node.end).line;
          if (last - first >= MAX_FUNCTION && !REASON.test(node.getFullText(tree)))
            long.push(`${path}:${first + 1}: ${last - first + 1} lines`);
        }
        ts.forEachChild(node, visit);
      };
      visit(tree);
    }
    assert.deepEqual(long, []);
  });

  test("the sources were found", () => {
    assert.ok(sources.length > 20, `only ${sources.length} files below ${relative(ROOT, SRC)}`);
  });
});
