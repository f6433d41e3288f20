/** Comments of src, test and bench cite documents: each file exists, and has the section that is cited by number or title. */
import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { describe, test } from "node:test";
import { PROJECT } from "../support/processes.js";
import { pages } from "./pages.js";

/** A file name, then section numbers ("2.1, 2.4-2.7", "A5 and A8") or a title in quotation marks. */
const CITATION =
  /(?<![\w/])((?:[\w-]+\/)*[\w-]+\.md)(?!\w)((?:(?:,| and|,? or)? ?[A-F]?\d+(?:\.\d+)?(?:-\d+(?:\.\d+)?)?)*)(?:,? "([^"]+)")?/g;
const NUMBER = /[A-F]?\d+(?:\.\d+)?/g;

interface Citation {
  readonly source: string;
  readonly document: string;
  readonly sections: readonly string[];
  readonly title: string | undefined;
}

const documents: readonly string[] = pages.map(({ path }) => path);

/** Comments of one file, each as one line of text. */
function commentsOf(text: string): string[] {
  const blocks = [...text.matchAll(/\/\*[\s\S]*?\*\//g)].map(([block]) => block.replace(/\n\s*\*/g, " "));
  const lines = [...text.matchAll(/(?:^|\s)\/\/ (.*)$/gm)].map(([, line = ""]) => line);
  return [...blocks, ...lines].map((comment) => comment.replace(/\s+/g, " "));
}

function commentsIn(folder: string): { source: string; comment: string }[] {
  return readdirSync(join(PROJECT, folder), { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".ts"))
    .flatMap((name) => {
      const source = `${folder}/${name}`;
      return commentsOf(readFileSync(join(PROJECT, source), "utf8")).map((comment) => ({ source, comment }));
    });
}

function citationsOf(source: string, comment: string): Citation[] {
  return [...comment.matchAll(CITATION)].map(([, document = "", numbers = "", title]) => {
    return { source, document, sections: numbers.match(NUMBER) ?? [], title };
  });
}

/** The document that a citation names: by its path, or by its name, docs/architecture first. */
function resolve(document: string): string | undefined {
  if (document.includes("/")) return existsSync(join(PROJECT, document)) ? document : undefined;
  const named = documents.filter((path) => basename(path) === document);
  return named.find((path) => path.startsWith("docs/architecture/")) ?? named[0];
}

const headingsOf = (path: string): string[] =>
  [...readFileSync(join(PROJECT, path), "utf8").matchAll(/^#+ (.*)$/gm)].map(([, heading = ""]) => heading);

/** What is wrong with a citation; undefined = nothing. */
function faultOf({ source, document, sections, title }: Citation): string | undefined {
  const path = resolve(document);
  if (!path) return `${source}: ${document} does not exist`;
  const headings = headingsOf(path);
  const missing = sections.filter((number) => !headings.some((heading) => new RegExp(`^${number}\\.? `).test(heading)));
  if (missing.length > 0) return `${source}: ${document} has no section ${missing.join(", ")}`;
  if (title !== undefined && !headings.includes(title)) return `${source}: ${document} has no section "${title}"`;
  return undefined;
}

/** Sources that a comment names, with or without their folders: "hub/bus.ts". */
const SOURCE = /(?<![\w/.-])((?:[\w-]+\/)*[\w-]+(?:\.test)?\.ts)(?!\w)/g;
const sources = ["src", "test", "bench", "packaging"].flatMap((folder) =>
  readdirSync(join(PROJECT, folder), { recursive: true, encoding: "utf8" }).map((name) => `/${folder}/${name}`),
);
const missingSources = (source: string, comment: string): string[] =>
  [...comment.matchAll(SOURCE)].flatMap(([, name = ""]) =>
    sources.some((path) => path.endsWith(`/${name}`)) ? [] : [`${source}: ${name} does not exist`],
  );

const comments = ["src", "test", "bench"].flatMap(commentsIn);

describe("Citations", () => {
  test("of comments name documents and sections that exist", () => {
    const citations = comments.flatMap(({ source, comment }) => citationsOf(source, comment));
    assert.ok(citations.length > 10);
    assert.deepEqual(
      citations.flatMap((citation) => faultOf(citation) ?? []),
      [],
    );
  });

  test("of comments name decisions that exist", () => {
    const known = new Set(readdirSync(join(PROJECT, "docs/decisions")).map((name) => name.slice(0, 4)));
    const unknown = comments.flatMap(({ source, comment }) =>
      [...comment.matchAll(/\b[Dd]ecision (\d{4})\b/g)].flatMap(([, number = ""]) =>
        known.has(number) ? [] : [`${source}: decision ${number}`],
      ),
    );
    assert.deepEqual(unknown, []);
  });

  test("of documents name sources that exist", () => {
    // The changelog names files of earlier versions.
    const current = pages.filter(({ path }) => path !== "CHANGELOG.md");
    const named = current.flatMap(({ path, text }) =>
      [...text.matchAll(/`((?:src|test|bench|scripts|packaging|docs)\/[\w/.-]+)`/g)].map(([, name = ""]) => ({
        path,
        name,
      })),
    );
    assert.ok(named.length > 50);
    assert.deepEqual(
      named.filter(({ name }) => !existsSync(join(PROJECT, name))),
      [],
    );
  });

  test("of comments name sources that exist", () => {
    assert.deepEqual(
      comments.flatMap(({ source, comment }) => missingSources(source, comment)),
      [],
    );
    assert.deepEqual(missingSources("x.ts", "see hub/bus.ts, hub/none.ts and bus.test.ts of before"), [
      "x.ts: hub/none.ts does not exist",
      "x.ts: bus.test.ts does not exist",
    ]);
  });

  test("that name a missing document, section or title are found", () => {
    const faults = (text: string) => citationsOf("x.ts", text).map(faultOf);
    assert.deepEqual(faults("see mongrel2.md 2.1 and 2.4-2.7, mercure.md A5, docs/threat-model.md"), [
      undefined,
      undefined,
      undefined,
    ]);
    assert.deepEqual(faults("mongrel2.md 2.99"), ["x.ts: mongrel2.md has no section 2.99"]);
    assert.deepEqual(faults("docs/none.md 1"), ["x.ts: docs/none.md does not exist"]);
    assert.deepEqual(faults('docs/threat-model.md, "No title"'), [
      'x.ts: docs/threat-model.md has no section "No title"',
    ]);
  });
});
