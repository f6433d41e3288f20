/** Runs a command in this process, with everything it sees of the process replaced. */
import { PassThrough, Readable } from "node:stream";
import { text } from "node:stream/consumers";
import type { Command } from "commander";
import type { Io } from "../../src/cli/io.js";
import { createProgram, type ExitCode, run } from "../../src/cli/program.js";
import { systemClock } from "../../src/util/clock.js";

export interface Outcome {
  readonly code: ExitCode;
  readonly stdout: string;
  readonly stderr: string;
}

/** `add` adds the command under test; `given` replaces parts of an empty environment. */
export async function runCommand(
  add: (program: Command, io: Io) => void,
  args: readonly string[],
  given: Partial<Io> = {},
): Promise<Outcome> {
  const stdout = new PassThrough();
  const stderr = new PassThrough();
  const io: Io = {
    stdin: Readable.from([]),
    env: {},
    cwd: process.cwd(),
    clock: systemClock,
    stdout,
    stderr,
    ...given,
  };
  // From the beginning: a command that writes much waits until it is read.
  const written = [text(stdout), text(stderr)] as const;
  const program = createProgram(io);
  add(program, io);
  const code = await run(program, args, io);
  stdout.end();
  stderr.end();
  return { code, stdout: await written[0], stderr: await written[1] };
}
