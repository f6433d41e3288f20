// node scripts/compose-arguments.js SERVICE
//
// Prints the arguments of `podman run` for one service of packaging/container/compose.yaml, one a line: what test-packages.sh runs is
// that file. The network is the host's, because a bridge needs rights that a test machine may not have; so ports are not mapped. Fails at
// a member that it does not know.
import { readFileSync } from "node:fs";
import { parse } from "yaml";

const IGNORED = new Set(["build", "depends_on", "ports", "profiles", "restart", "image", "command"]);

/** The arguments for each member of a service. */
const ARGUMENTS = {
  read_only: (isReadOnly) => (isReadOnly ? ["--read-only"] : []),
  cap_drop: (names) => names.map((name) => `--cap-drop=${name}`),
  security_opt: (options) => options.map((option) => `--security-opt=${option.replace(":true", "")}`),
  // podman gives a tmpfs to root, whatever it is told, and mode 1777.
  tmpfs: (mounts) => mounts.map((mount) => `--tmpfs=${mount.replace(/uid=\d+,gid=\d+,/, "")}`),
  volumes: (mounts) => mounts.map((mount) => `--volume=m2push-test-${mount}`),
  environment: (values) =>
    Object.entries(values).map(([name, value]) => `--env=${name}=${value.replace(/\$\{\w+:-(.*)\}/, "$1")}`),
  stop_grace_period: (seconds) => [`--stop-timeout=${Number.parseInt(seconds, 10)}`],
};

const [name] = process.argv.slice(2);
const { services } = parse(readFileSync(new URL("../packaging/container/compose.yaml", import.meta.url), "utf8"));
const service = services[name];
if (service === undefined) throw new Error(`compose.yaml has no service ${name}`);
const lines = [];
for (const [member, value] of Object.entries(service)) {
  if (IGNORED.has(member)) continue;
  if (!(member in ARGUMENTS)) throw new Error(`compose-arguments.js does not know ${member}; fix: add it`);
  lines.push(...ARGUMENTS[member](value));
}
console.log([...lines, service.image, ...(service.command ?? [])].join("\n"));
