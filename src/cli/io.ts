/** The process as a command sees it; tests replace it. */
import type { Readable } from "node:stream";
import { type Clock, systemClock } from "../util/clock.js";

export interface Io {
  readonly stdin: Readable;
  readonly stdout: NodeJS.WritableStream;
  readonly stderr: NodeJS.WritableStream;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
  readonly clock: Clock;
}

/** The real process. Standard input is opened at its first use: an open one can keep a process alive. */
export const processIo: Io = {
  get stdin() {
    return process.stdin;
  },
  stdout: process.stdout,
  stderr: process.stderr,
  env: process.env,
  get cwd() {
    return process.cwd();
  },
  clock: systemClock,
};
