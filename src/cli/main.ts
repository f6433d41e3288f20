#!/usr/bin/env node
/** The command `m2push`. */
import { fullProgram } from "./commands.js";
import { run } from "./program.js";

/** A reader that goes away early, as in `m2push config | head -1`, ends the program without a word; a full disk ends it with one. */
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code === "EPIPE") process.exit();
  process.stderr.write(
    `m2push: cannot write to standard output: ${error.message}; fix: make room, or write elsewhere\n`,
  );
  process.exit(1);
});
// There is nobody left to tell.
process.stderr.on("error", () => process.exit(1));

/** Node would open its inspector on SIGUSR1: a debugger that runs any code, for every user of this machine. */
process.on("SIGUSR1", () => {});

const code = await run(fullProgram(), process.argv.slice(2));
if (code !== 0) process.exitCode = code;
