/** Every command of `m2push`, in the order of the help. */
import type { Command } from "commander";
import { addCompletion } from "./completion-command.js";
import { addConfig } from "./config-command.js";
import { addDoctor } from "./doctor-command.js";
import { addHistory } from "./history-command.js";
import { addKeygen } from "./keygen-command.js";
import { addLoad } from "./load-command.js";
import { createProgram } from "./program.js";
import { addPublish } from "./publish-command.js";
import { addServe } from "./serve-command.js";
import { addStatus } from "./status-command.js";
import { addSubscribe } from "./subscribe-command.js";
import { addToken } from "./token-command.js";
import { addTopic } from "./topic-command.js";
import { addUp } from "./up-command.js";

const COMMANDS: readonly ((program: Command) => void)[] = [
  addServe,
  addUp,
  addPublish,
  addSubscribe,
  addStatus,
  addDoctor,
  addConfig,
  addTopic,
  addToken,
  addHistory,
  addLoad,
  addKeygen,
  addCompletion,
];

/** The whole command line. */
export function fullProgram(): Command {
  const program = createProgram();
  for (const add of COMMANDS) add(program);
  return program;
}
