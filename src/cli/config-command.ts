/** `m2push config`: checks the configuration, or prints the effective one with the source of each value. */
import { readFileSync } from "node:fs";
import type { Command } from "commander";
import { ConfigError } from "../config/config-error.js";
import { configSchema } from "../config/config-schema.js";
import { configWarnings } from "../config/config-warnings.js";
import type { LoadedConfig } from "../config/load-config.js";
import { printConfig } from "../config/print-config.js";
import { sourceText } from "../config/value-source.js";
import { servedAddresses } from "../config/zmq-implementation.js";
import { curveGrants } from "../daemon/publish-sockets.js";
import { M2pushError } from "../errors.js";
import { hubUrl } from "../http/app.js";
import { loadKeys } from "../http/auth/load-keys.js";
import { type Io, processIo } from "./io.js";
import { addConfigOptions, loadFor } from "./options.js";

export function addConfig(program: Command, io: Io = processIo): void {
  const command = program.command("config").summary("check or print the configuration");
  command.description(
    "Checks the configuration and prints the effective one as TOML, with the default and the range of every key and the source " +
      "of its value. Exit code 2 when it has errors; all of them are printed, one a line.",
  );
  command.option(
    "--check",
    'check the configuration and the files that it names; print what serves each ZeroMQ address, and "ok", instead of the configuration',
  );
  command.option("--print", "print the configuration (default; with --check: in addition to the check)");
  command.option("--schema", "print the JSON Schema of the configuration file, for editors; nothing is read");
  addConfigOptions(command).action((options: { check?: true; print?: true; schema?: true }) => {
    if (options.schema === true) {
      io.stdout.write(schemaText());
      return;
    }
    const loaded = loadFor(command, io);
    if (options.check === true) checkContents(loaded);
    const checkOnly = options.check === true && options.print !== true;
    for (const warning of configWarnings(loaded.config)) io.stderr.write(`warning: ${warning}\n`);
    io.stdout.write(checkOnly ? `${addressLines(loaded)}ok\n` : printConfig(loaded));
  });
}

/** The text of config/m2push.schema.json. */
export const schemaText = (): string => `${JSON.stringify(configSchema(), undefined, 2)}\n`;

/** One line for each ZeroMQ address: its key, the implementation of its socket, and the reason. */
function addressLines({ config }: LoadedConfig): string {
  const lines = servedAddresses(config).map(
    ({ key, address, implementation, reason }) => `${key} ${address}: ${implementation} (${reason})\n`,
  );
  return lines.join("");
}

/** Throws an error without the key's name. */
type Check = [path: string, read: () => void];

/** Reads the files that the configuration names, and topics of publishers, as the daemon reads them. Throws ConfigError with every fault. */
function checkContents({ config, sources }: LoadedConfig): void {
  const { auth, cluster } = config;
  const reads: Check[] = [
    ["auth.publisher_key", () => loadKeys("", auth.publisher_key)],
    ["auth.subscriber_key", () => loadKeys("", auth.subscriber_key)],
    ...config.issuer.map(({ keys }, index): [string, () => void] => [
      `issuer[${index}].keys`,
      () => loadKeys("", keys),
    ]),
    ["cluster.credentials", () => readIfSet(cluster.credentials)],
    ["cluster.tls_ca", () => readIfSet(cluster.tls_ca)],
    ["cluster.tls_cert", () => readIfSet(cluster.tls_cert)],
    ["cluster.tls_key", () => readIfSet(cluster.tls_key)],
    ...config.publish.curve.map((it): Check => ["publish.curve", () => curveGrants(it, hubUrl(config))]),
  ];
  const faults = reads.flatMap(([path, read]) => {
    try {
      read();
      return [];
    } catch (error) {
      const source = sources.get(path) ?? ({ from: "default" } as const);
      return [`${sourceText(source)}: ${path}: ${error instanceof Error ? error.message.replace(/^: /, "") : error}`];
    }
  });
  if (faults.length > 0) throw new ConfigError(faults);
}

function readIfSet(path: string): void {
  if (path === "") return;
  try {
    readFileSync(path);
  } catch (cause) {
    const { code = "unknown error" } = cause as NodeJS.ErrnoException;
    throw new M2pushError("config_invalid", `cannot read ${path}: ${code}`, { cause });
  }
}
