/**
 * The program and its error handling. Commands throw; `run` prints the error as one line on standard error and returns the exit code:
 * 0 success, 1 failure, 2 wrong usage or invalid configuration. With M2PUSH_DEBUG set it prints the stack too.
 */
import { inspect } from "node:util";
import { Command, CommanderError } from "commander";
import { M2pushError, messageOf } from "../errors.js";
import { escapeUnprintable, printableLine } from "../util/escape.js";
import { packageVersion } from "../util/package-version.js";
import { type Io, processIo } from "./io.js";

export type ExitCode = 0 | 1 | 2;

/** The program without commands. Commands that are added to it share its error handling. */
export function createProgram(io: Io = processIo): Command {
  return new Command("m2push")
    .description("The push daemon for Mongrel2: sends events to browsers over Server-Sent Events (EventSource).")
    .version(packageVersion(), "-V, --version", "print the version")
    .exitOverride()
    .configureOutput({
      writeOut: (text) => io.stdout.write(text),
      writeErr: (text) => io.stderr.write(text),
      outputError: (text, write) => write(`m2push: ${printableLine(text.replace(/^error: /, ""))}\n`),
    });
}

/** Runs the command in `args` (without node and the script). Never rejects. */
export async function run(program: Command, args: readonly string[], io: Io = processIo): Promise<ExitCode> {
  try {
    await program.parseAsync(args, { from: "user" });
    return 0;
  } catch (error) {
    return report(error, io);
  }
}

/** commander prints its own errors before it throws. It also throws after --help and --version, with exit code 0. */
function report(error: unknown, io: Io): ExitCode {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
  const invalid = error instanceof M2pushError && error.code === "config_invalid";
  const message = messageOf(error);
  const lines = invalid ? message.split("\n").map(escapeUnprintable) : [printableLine(message)];
  io.stderr.write(lines.map((line) => `m2push: ${line}\n`).join(""));
  if (io.env.M2PUSH_DEBUG) io.stderr.write(`${escapeUnprintable(inspect(error))}\n`);
  return invalid ? 2 : 1;
}
