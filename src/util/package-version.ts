/** The version of this package. */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

/** Reads package.json one or more folders above the compiled file (dist/util, or build/src/util in tests). */
export function packageVersion(): string {
  for (let folder = new URL("../", import.meta.url); folder.pathname !== "/"; folder = new URL("../", folder)) {
    const version = versionIn(fileURLToPath(new URL("package.json", folder)));
    if (version !== undefined) return version;
  }
  return "unknown";
}

function versionIn(file: string): string | undefined {
  try {
    const { name, version } = JSON.parse(readFileSync(file, "utf8"));
    return name === "m2push" ? String(version) : undefined;
  } catch {
    return undefined;
  }
}
