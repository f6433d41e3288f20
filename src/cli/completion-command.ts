/** `m2push completion`: prints a script that completes commands, options and values in a shell. */
import { Argument, type Command } from "commander";
import { bash } from "./completion/bash.js";
import { fish } from "./completion/fish.js";
import { type ProgramShape, shapeOf } from "./completion/program-shape.js";
import { zsh } from "./completion/zsh.js";
import { type Io, processIo } from "./io.js";

export const SHELLS: Readonly<Record<string, (shape: ProgramShape) => string>> = { bash, zsh, fish };

export function addCompletion(program: Command, io: Io = processIo): void {
  const command = program.command("completion").summary("print a completion script for a shell");
  command.description(
    "Prints a script that completes commands, options and values. To enable it in bash: source <(m2push completion bash)",
  );
  command.addArgument(new Argument("<shell>", "shell").choices(Object.keys(SHELLS)));
  command.action((shell: string) => void io.stdout.write(SHELLS[shell]?.(shapeOf(program)) ?? ""));
}
