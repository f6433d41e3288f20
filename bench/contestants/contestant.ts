/**
 * Who is measured: something that holds event streams and is told what to send. Each is started afresh for each measurement, on
 * ports of its own, in a folder of its own, on the measured core.
 */
import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";
import type { Mongrel2Options } from "../../test/support/mongrel2.js";
import type { Publishing } from "../tools.js";

export interface Contestant {
  /** As in the tables. */
  readonly name: string;
  /** One line on what it is. */
  readonly what: string;
  /** What is not there to run it; undefined = nothing. */
  missing(): string | undefined;
  start(): Promise<Running>;
}

export interface Running {
  readonly port: number;
  /** Where to subscribe to everything, and with "%d", to topic c0, c1 ...; undefined = it has no topics. */
  readonly path: string;
  readonly topicPath: string | undefined;
  /** Processes that hold the connections. */
  readonly servers: readonly number[];
  /** Processes that tell them what to write; none where one does both. */
  readonly handlers: readonly number[];
  publish(publishing: Publishing): Promise<unknown>;
  stop(): Promise<unknown>;
}

/** Mongrel2's settings for all who use one: the connections of the largest row, and all of them hot. */
export const MONGREL2: Mongrel2Options = {
  settings: { "superpoll.max_fd": 32_768, "superpoll.hot_dividend": 2, "disable.access_logging": 1 },
};

/** Words for programs that are not installed; undefined when all are. */
export function missingPrograms(...programs: readonly string[]): string | undefined {
  const absent = programs.filter((program) => !isInstalled(program));
  return absent.length === 0 ? undefined : `${absent.join(", ")} not installed`;
}

function isInstalled(program: string): boolean {
  const folders = `${process.env.PATH}${delimiter}/usr/sbin${delimiter}/sbin`.split(delimiter);
  return (program.startsWith("/") ? [program] : folders.map((folder) => join(folder, program))).some(isExecutable);
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, /\.(so|conf)$/.test(path) ? constants.R_OK : constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
