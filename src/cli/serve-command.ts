/** `m2push serve`: runs the daemon until a signal stops it. */
import type { Command } from "commander";
import { addConfigOptions, addSharedOption } from "./options.js";
import { runDaemon } from "./run-daemon.js";

export function addServe(program: Command): void {
  const command = program.command("serve").summary("run the daemon");
  command.description(
    "Runs the daemon beside a running Mongrel2. SIGINT or SIGTERM stops it; Mongrel2 keeps the streams open, and the next daemon " +
      "process adopts them. SIGHUP reloads the configuration.",
  );
  command.option(
    "--drain",
    "close all streams when stopping, instead of leaving them open for the next daemon process",
  );
  command.option("--takeover", "stop the daemon that uses the same data folder, and take over from it");
  addConfigOptions(addSharedOption(command)).action(() => runDaemon(command));
}
