/**
 * Creates the files of `m2push up` in a new folder: config/m2push.toml with its schema, config/mongrel2.conf and html/, copies of those that come with
 * m2push. They work unchanged, and users edit them.
 */
import { cpSync, existsSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

export const PAIR = { config: "config/m2push.toml", mongrel2: "config/mongrel2.conf" } as const;
const HTML = "html";
/** Of the folder config; editors read the schema. */
const COPIES = ["m2push.toml", "m2push.schema.json", "mongrel2.conf"];

/** The folders with the originals: in the npm package and a checkout, and in the Debian package. */
const SOURCES = [
  { config: "config", html: HTML },
  { config: "share/doc/m2push/examples", html: "share/m2push/html" },
];

/**
 * Copies the missing files into `folder`, unless one of the two configuration files exists. Returns the names of the copies; undefined
 * = nothing was copied, because a file exists or this installation has no originals.
 */
export function scaffold(folder: string): string | undefined {
  const has = (path: string) => existsSync(join(folder, path));
  const from = has(PAIR.config) || has(PAIR.mongrel2) ? undefined : find();
  if (!from) return undefined;
  for (const name of COPIES) cpSync(join(from.config, name), join(folder, "config", name));
  if (has(HTML)) return `${PAIR.config} and ${PAIR.mongrel2}`;
  cpSync(from.html, join(folder, HTML), { recursive: true });
  return `${PAIR.config}, ${PAIR.mongrel2} and ${HTML}/`;
}

function find(): { config: string; html: string } | undefined {
  for (let above = new URL("../", import.meta.url); ; above = new URL("../", above)) {
    for (const source of SOURCES) {
      const config = fileURLToPath(new URL(source.config, above));
      const html = fileURLToPath(new URL(source.html, above));
      if (["m2push.toml", "mongrel2.conf"].every((name) => existsSync(join(config, name)))) return { config, html };
    }
    if (above.pathname === "/") return undefined;
  }
}
