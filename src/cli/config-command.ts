/** `m2push config`: checks the configuration, or prints the effective one with where each value came from. */
import { readFileSync } from "node:fs";
import type { Command } from "commander";
import { configWarnings } from "../config/config-warnings.js";
import type { Loaded } from "../config/load-config.js";
import { printConfig } from "../config/print-config.js";
import { ConfigError, sourceText } from "../config/settings.js";
import { M2pushError } from "../errors.js";
import { loadKeys } from "../http/auth/key-set.js";
import { type Io, processIo } from "./io.js";
import { addConfigOptions, loadFor } from "./options.js";

export function addConfig(program: Command, io: Io = processIo): void {
  const command = program.command("config").summary("check or print the configuration");
  command.description("Checks the configuration and prints the effective one as TOML: defaults, units, and sources.");
  command.option("--check", 'only check, key files too: print "ok", or every fault on standard error (exit code 2)');
  command.option("--print", "print the effective configuration (without options, that is what happens)");
  addConfigOptions(command).action((options: { check?: true; print?: true }) => {
    const loaded = loadFor(command, io);
    if (options.check === true) checkFiles(loaded);
    const checkOnly = options.check === true && options.print !== true;
    for (const warning of configWarnings(loaded.config)) io.stderr.write(`warning: ${warning}\n`);
    io.stdout.write(checkOnly ? "ok\n" : printConfig(loaded));
  });
}

/** Files that the configuration names are read as the daemon will read them. Throws ConfigError with every fault. */
function checkFiles({ config, sources }: Loaded): void {
  const { auth, cluster } = config;
  const reads: [path: string, read: () => void][] = [
    ["auth.publisher_key", () => loadKeys("", auth.publisher_key)],
    ["auth.subscriber_key", () => loadKeys("", auth.subscriber_key)],
    ["cluster.credentials", () => readIfNamed(cluster.credentials)],
    ["cluster.tls_ca", () => readIfNamed(cluster.tls_ca)],
    ["cluster.tls_cert", () => readIfNamed(cluster.tls_cert)],
    ["cluster.tls_key", () => readIfNamed(cluster.tls_key)],
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

function readIfNamed(path: string): void {
  if (path === "") return;
  try {
    readFileSync(path);
  } catch (cause) {
    const { code = "unknown error" } = cause as NodeJS.ErrnoException;
    throw new M2pushError("config_invalid", `expected a file that can be read (${code}): ${path}`, { cause });
  }
}
