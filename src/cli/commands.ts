/** Every command of `m2push`, in the order of the help. */
import type { Command } from "commander";
import { addCompletion } from "./completion.js";
import { addConfig } from "./config.js";
import { addDoctor } from "./doctor.js";
import { addHistory } from "./history.js";
import { createProgram } from "./program.js";
import { addPublish } from "./publish.js";
import { addServe } from "./serve.js";
import { addStatus } from "./status.js";
import { addUp } from "./up.js";

const COMMANDS: readonly ((program: Command) => void)[] = [
  addServe,
  addUp,
  addPublish,
  addStatus,
  addDoctor,
  addConfig,
  addHistory,
  addCompletion,
];

/** The whole command line. */
export function fullProgram(): Command {
  const program = createProgram();
  for (const add of COMMANDS) add(program);
  return program;
}
