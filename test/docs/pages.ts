/** The documents as data: what stands in them that can be compared with the program. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { PROJECT } from "../support/processes.js";

export interface Page {
  /** From the project's root. */
  readonly path: string;
  readonly text: string;
}

export interface Fence {
  readonly page: string;
  readonly language: string;
  readonly text: string;
}

const TOP = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "client/README.md", "bench/RESULTS.md"];
const FOLDERS = ["docs", "docs/architecture", "docs/decisions"];

export const pages: readonly Page[] = [
  ...TOP,
  ...FOLDERS.flatMap((folder) =>
    readdirSync(join(PROJECT, folder))
      .filter((name) => name.endsWith(".md"))
      .map((name) => `${folder}/${name}`),
  ),
].map((path) => ({ path, text: readFileSync(join(PROJECT, path), "utf8") }));

export function page(path: string): string {
  const found = pages.find((it) => it.path === path);
  if (!found) throw new Error(`${path} is not there`);
  return found.text;
}

/** Blocks between lines of three backticks. */
export function fences({ path, text }: Page): Fence[] {
  return [...text.matchAll(/^```(\w*)\n([\s\S]*?)^```$/gm)].map(([, language = "", block = ""]) => {
    return { page: path, language, text: block };
  });
}

/** What stands between backticks in running text. */
export function quotations({ text }: Page): string[] {
  const prose = text.replace(/^```[\s\S]*?^```$/gm, "");
  return [...prose.matchAll(/`([^`]+)`/g)].map(([, quoted = ""]) => quoted.replace(/\s+/g, " "));
}

/** Every file below src/, in one text. */
export function sources(folder: string): string {
  return readdirSync(join(PROJECT, folder), { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".ts"))
    .map((name) => readFileSync(join(PROJECT, folder, name), "utf8"))
    .join("\n");
}
