/**
 * The frame of the command line: one program, one way to fail. Commands throw; `run` turns what they threw into one line on
 * standard error and an exit code: 0 done, 1 failed, 2 usage or configuration. With M2PUSH_DEBUG set the stack is printed too.
 */
import { inspect } from "node:util";
import { Command, CommanderError } from "commander";
import { M2pushError } from "../errors.js";
import { escapeUnprintable, printableLine } from "../util/escape.js";
import { packageVersion } from "../util/package-version.js";
import { type Io, processIo } from "./io.js";

export type ExitCode = 0 | 1 | 2;

/** The program without commands. Commands added to it share its error handling. */
export function createProgram(io: Io = processIo): Command {
  return new Command("m2push")
    .description("The push daemon for Mongrel2.")
    .version(packageVersion(), "-V, --version", "print the version")
    .exitOverride()
    .configureOutput({
      writeOut: (text) => io.stdout.write(text),
      writeErr: (text) => io.stderr.write(text),
      outputError: (text, write) => write(`m2push: ${printableLine(text.replace(/^error: /, ""))}\n`),
    });
}

/** Runs the command that the arguments name (without node and the script). Never rejects. */
export async function run(program: Command, args: readonly string[], io: Io = processIo): Promise<ExitCode> {
  try {
    await program.parseAsync(args, { from: "user" });
    return 0;
  } catch (error) {
    return report(error, io);
  }
}

/** commander has printed its own errors before it throws; help and version are thrown too, with exit code 0. */
function report(error: unknown, io: Io): ExitCode {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
  const invalid = error instanceof M2pushError && error.code === "config_invalid";
  const message = error instanceof Error ? error.message : String(error);
  const lines = invalid ? message.split("\n").map(escapeUnprintable) : [printableLine(message)];
  io.stderr.write(lines.map((line) => `m2push: ${line}\n`).join(""));
  if (io.env.M2PUSH_DEBUG) io.stderr.write(`${escapeUnprintable(inspect(error))}\n`);
  return invalid ? 2 : 1;
}
