// node scripts/sbom.js
//
// Prints the bill of materials of what is shipped (CycloneDX as JSON): m2push and its production dependencies, by the lock file. npm makes
// one of all packages; this script leaves those of development out (npm's own --omit dev also omits packages that both need: once,
// smol-toml). It takes away what differs between two runs (serial number) and checkouts (name of the folder), and sets the time of
// the last commit, so that one commit has one bill.
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";

const run = (program, ...args) => execFileSync(program, args, { encoding: "utf8", maxBuffer: 50_000_000 });

const { name, version, packages } = JSON.parse(readFileSync("package-lock.json", "utf8"));
const shipped = new Set([`${name}@${version}`]);
for (const [path, entry] of Object.entries(packages))
  if (path !== "" && !entry.dev) shipped.add(`${path.replace(/^.*node_modules\//, "")}@${entry.version}`);

const { serialNumber: _, ...bill } = JSON.parse(
  run("npm", "sbom", "--sbom-format", "cyclonedx", "--package-lock-only"),
);
const epoch = process.env.SOURCE_DATE_EPOCH ?? run("git", "log", "-1", "--format=%ct").trim();
bill.metadata.timestamp = new Date(Number(epoch) * 1000).toISOString();
Object.assign(bill.metadata.component, { name, type: "application" });
bill.components = bill.components.filter((component) => shipped.has(component["bom-ref"]));
bill.dependencies = bill.dependencies
  .filter(({ ref }) => shipped.has(ref))
  .map(({ ref, dependsOn }) => ({ ref, dependsOn: dependsOn.filter((it) => shipped.has(it)) }));
console.log(JSON.stringify(bill, undefined, 2));
