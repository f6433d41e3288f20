/** What a second reading of the configuration may change in a running daemon, and what it may not. */
import { isDeepStrictEqual } from "node:util";
import { type Config, sections } from "./schema.js";

/** Paths of the keys that differ and take effect only with a restart. */
export function restartKeys(running: Config, next: Config): string[] {
  const paths: string[] = isDeepStrictEqual(running.mongrel2, next.mongrel2) ? [] : ["mongrel2"];
  const [was, is] = [running, next] as unknown as Record<string, Record<string, unknown>>[];
  for (const [section, keys] of Object.entries(sections)) {
    for (const [name, key] of Object.entries(keys)) {
      if (key.change === "live" || isDeepStrictEqual(was?.[section]?.[name], is?.[section]?.[name])) continue;
      paths.push(`${section}.${name}`);
    }
  }
  return paths;
}
