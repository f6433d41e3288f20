#!/usr/bin/env node
/** The command `m2push`. */
import { fullProgram } from "./commands.js";
import { run } from "./program.js";

/** A reader that goes away early, as in `m2push config | head -1`, ends the program without a word. */
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code !== "EPIPE") throw error;
  process.exit();
});

const code = await run(fullProgram(), process.argv.slice(2));
if (code !== 0) process.exitCode = code;
