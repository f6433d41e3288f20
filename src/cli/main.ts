#!/usr/bin/env node
/** The command `m2push`. Everything else is imported after the version of Node.js is known to be one that can load it. */
import { nodeVersionFault } from "../util/node-version.js";
import { endOnOutputError } from "./output-error.js";

const fault = nodeVersionFault(process.version);
if (fault !== undefined) {
  process.stderr.write(`m2push: ${fault}\n`);
  process.exit(1);
}

process.stdout.on("error", endOnOutputError);
// No output is left to report this on.
process.stderr.on("error", () => process.exit(1));

/** By default Node.js opens its inspector on SIGUSR1: a debugger that runs any code, for every user of this machine. */
process.on("SIGUSR1", () => {});

const [{ fullProgram }, { run }] = await Promise.all([import("./commands.js"), import("./program.js")]);
const code = await run(fullProgram(), process.argv.slice(2));
if (code !== 0) process.exitCode = code;
