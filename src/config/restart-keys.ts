/** Which changes of a configuration a running daemon cannot apply. */
import { isDeepStrictEqual } from "node:util";
import { type Config, sections } from "./schema.js";

/** The paths of the keys that differ and need a restart. */
export function restartKeys(running: Config, next: Config): string[] {
  const paths: string[] = isDeepStrictEqual(running.mongrel2, next.mongrel2) ? [] : ["mongrel2"];
  const [before, after] = [running, next] as unknown as Record<string, Record<string, unknown>>[];
  for (const [section, keys] of Object.entries(sections)) {
    for (const [name, key] of Object.entries(keys)) {
      if (key.change === "live" || isDeepStrictEqual(before?.[section]?.[name], after?.[section]?.[name])) continue;
      paths.push(`${section}.${name}`);
    }
  }
  return paths;
}
