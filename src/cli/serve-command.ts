/** `m2push serve`: the daemon, until a signal ends it. */
import type { Command } from "commander";
import { addConfigOptions, addSharedOption } from "./options.js";
import { runDaemon } from "./run-daemon.js";

export function addServe(program: Command): void {
  const command = program.command("serve").summary("run the daemon");
  command.description(
    "Runs the daemon beside a Mongrel2. SIGINT or SIGTERM stops it; Mongrel2 keeps the streams open, and the next daemon " +
      "goes on with them. SIGHUP reads the configuration again.",
  );
  command.option("--drain", "when stopping, close the streams instead of leaving them to the next daemon");
  command.option("--takeover", "tell a daemon that runs on the same data to stop, and go on in its place");
  addConfigOptions(addSharedOption(command)).action(() => runDaemon(command));
}
