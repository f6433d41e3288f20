/** Both packages, built once from a copy of the checkout that has only what a release has: nothing of the tests, no old build. */
import assert from "node:assert/strict";
import { cpSync, mkdirSync, readdirSync, readFileSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { PROJECT, run, temporaryDirectory } from "../support/processes.js";

/** Top-level entries that packages are made of. */
const SOURCES = [
  "src",
  "client",
  "config",
  "docs",
  "html",
  "packaging",
  "package.json",
  "package-lock.json",
  "tsconfig.json",
  "tsconfig.build.json",
  "CHANGELOG.md",
  "LICENSE",
  "README.md",
];

export interface Built {
  readonly version: string;
  /** The copy that it was built from. */
  readonly checkout: string;
  /** Paths of the packages. */
  readonly tarball: string;
  readonly deb: string;
  /** What `npm pack` says is in the tarball. */
  readonly files: readonly string[];
  /** The Debian package, unpacked. */
  readonly root: string;
}

/** Runs a command that must not fail, and returns what it printed. */
export async function must(
  command: string,
  args: readonly string[],
  cwd: string,
  env = environment(),
): Promise<string> {
  const { exit, output } = await run(command, args, cwd, env);
  assert.deepEqual(exit, { code: 0, signal: null }, `${command} ${args.join(" ")}:\n${output}`);
  return output;
}

/** npm would tell scripts of scripts: a test that runs under `npm test` is none of its business. */
export function environment(): NodeJS.ProcessEnv {
  const kept = Object.entries(process.env).filter(([name]) => !/^(npm_|M2PUSH_)/.test(name));
  return {
    ...Object.fromEntries(kept),
    npm_config_update_notifier: "false",
    SOURCE_DATE_EPOCH: "1700000000",
    // To compress 47 MB takes five seconds, and says nothing about the package.
    DEB_COMPRESSION: "none",
  };
}

export async function build(): Promise<Built> {
  const folder = temporaryDirectory();
  const checkout = join(folder, "checkout");
  for (const name of SOURCES) cpSync(join(PROJECT, name), join(checkout, name), { recursive: true });
  linkModules(join(checkout, "node_modules"));
  const { version } = JSON.parse(readFileSync(join(checkout, "package.json"), "utf8"));
  const printed = await must("bash", ["packaging/debian/build.sh", folder], checkout);
  const deb = /^\/.*\.deb$/m.exec(printed)?.[0] ?? assert.fail(`no package in: ${printed}`);
  // The script has built it, as npm's prepack does.
  const packed = await must("npm", ["pack", "--json", "--ignore-scripts", "--pack-destination", folder], checkout);
  const root = join(folder, "root");
  mkdirSync(root);
  await must("dpkg-deb", ["-x", deb, root], folder);
  return { version, checkout, tarball: join(folder, `m2push-${version}.tgz`), deb, files: filesIn(packed), root };
}

/** Links the installed packages, without npm's own record of them: npm ls fails then, as it does when the record is out of date. */
function linkModules(folder: string): void {
  const installed = join(PROJECT, "node_modules");
  mkdirSync(folder);
  for (const name of readdirSync(installed)) {
    if (!name.startsWith(".package-lock")) symlinkSync(join(installed, name), join(folder, name));
  }
}

/** npm 11.12 and later print an object by name, earlier ones a list; warnings may stand before it. */
function filesIn(printed: string): string[] {
  const json = JSON.parse(printed.slice(printed.search(/^[[{]/m)).replace(/^npm warn.*$/gm, ""));
  const [report] = Object.values(json) as { files: { path: string }[] }[];
  return (report ?? assert.fail(printed)).files.map(({ path }) => path);
}
