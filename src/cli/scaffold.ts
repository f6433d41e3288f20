/**
 * What `m2push up` needs in the folder where it runs: config/m2push.toml, config/mongrel2.conf and html/. Where none of these
 * is there, it begins with copies of the ones that come with m2push: they work as they are, and are meant to be changed.
 */
import { cpSync, existsSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

export const PAIR = { config: "config/m2push.toml", mongrel2: "config/mongrel2.conf" } as const;
const HTML = "html";

/** Where a package has them: that of npm and a checkout as they stand, that of Debian below share/. */
const PLACES = [
  { config: "config", html: HTML },
  { config: "share/doc/m2push/examples", html: "share/m2push/html" },
];

/**
 * Copies what is missing into `folder`, unless some of the pair is there. Returns what was written, for people; undefined =
 * nothing was, as everything is there, or this m2push came without the files.
 */
export function scaffold(folder: string): string | undefined {
  const has = (path: string) => existsSync(join(folder, path));
  const from = has(PAIR.config) || has(PAIR.mongrel2) ? undefined : find();
  if (!from) return undefined;
  for (const [path, name] of Object.entries({ [PAIR.config]: "m2push.toml", [PAIR.mongrel2]: "mongrel2.conf" })) {
    cpSync(join(from.config, name), join(folder, path));
  }
  if (has(HTML)) return `${PAIR.config} and ${PAIR.mongrel2}`;
  cpSync(from.html, join(folder, HTML), { recursive: true });
  return `${PAIR.config}, ${PAIR.mongrel2} and ${HTML}/`;
}

function find(): { config: string; html: string } | undefined {
  for (let above = new URL("../", import.meta.url); ; above = new URL("../", above)) {
    for (const place of PLACES) {
      const config = fileURLToPath(new URL(place.config, above));
      const html = fileURLToPath(new URL(place.html, above));
      if (["m2push.toml", "mongrel2.conf"].every((name) => existsSync(join(config, name)))) return { config, html };
    }
    if (above.pathname === "/") return undefined;
  }
}
