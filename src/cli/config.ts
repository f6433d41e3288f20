/** `m2push config`: checks the configuration, or prints the effective one with where each value came from. */
import type { Command } from "commander";
import { printConfig } from "../config/print.js";
import { warningsOf } from "../config/warnings.js";
import { type Io, processIo } from "./io.js";
import { addConfigOptions, loadFor } from "./options.js";

export function addConfig(program: Command, io: Io = processIo): void {
  const command = program.command("config").summary("check or print the configuration");
  command.description("Checks the configuration and prints the effective one as TOML: defaults, units, and sources.");
  command.option("--check", 'only check: print "ok", or every fault on standard error (exit code 2)');
  command.option("--print", "print the effective configuration (without options, that is what happens)");
  addConfigOptions(command).action((options: { check?: true; print?: true }) => {
    const loaded = loadFor(command, io);
    const checkOnly = options.check === true && options.print !== true;
    for (const warning of warningsOf(loaded.config)) io.stderr.write(`warning: ${warning}\n`);
    io.stdout.write(checkOnly ? "ok\n" : printConfig(loaded));
  });
}
