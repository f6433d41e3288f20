/** `m2push serve`: the daemon, until a signal ends it. */
import type { Command } from "commander";
import { addConfigOptions } from "./options.js";
import { runDaemon } from "./running.js";

export function addServe(program: Command): void {
  const command = program.command("serve").summary("run the daemon");
  command.description(
    "Runs the daemon beside a Mongrel2. SIGINT or SIGTERM stops it, SIGHUP reads the configuration again.",
  );
  addConfigOptions(command).action(() => runDaemon(command));
}
