#!/usr/bin/env node
/** The command `m2push`. */
import { addConfig } from "./config.js";
import { addDoctor } from "./doctor.js";
import { createProgram, run } from "./program.js";
import { addPublish } from "./publish.js";
import { addServe } from "./serve.js";
import { addStatus } from "./status.js";
import { addUp } from "./up.js";

/** Every command, in the order of the help. */
const COMMANDS = [addServe, addUp, addPublish, addStatus, addDoctor, addConfig];

/** A reader that goes away early, as in `m2push config | head -1`, ends the program without a word. */
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code !== "EPIPE") throw error;
  process.exit();
});

const program = createProgram();
for (const add of COMMANDS) add(program);

const code = await run(program, process.argv.slice(2));
if (code !== 0) process.exitCode = code;
