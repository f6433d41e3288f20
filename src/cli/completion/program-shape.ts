/** The command line as plain data, read from the commander program, for the completion scripts and the manual page. */
import type { Argument, Command, Option } from "commander";

/** The possible values of an option or argument. */
export type Values =
  /** The name of a file. */
  | { readonly kind: "file" }
  | { readonly kind: "words"; readonly words: readonly string[] }
  /** Any text. */
  | { readonly kind: "free" };

export interface OptionShape {
  /** "-c" */
  readonly short: string | undefined;
  /** "--config" */
  readonly long: string;
  /** As in the help: "-c, --config <file>". */
  readonly flags: string;
  readonly description: string;
  /** Undefined: it takes no value. */
  readonly values: Values | undefined;
  /** May be given more than once. */
  readonly repeats: boolean;
  /** The heading under which the help lists it; undefined = the usual one. */
  readonly group: string | undefined;
}

export interface ArgumentShape {
  readonly name: string;
  readonly description: string;
  readonly required: boolean;
  readonly values: Values;
}

export interface CommandShape {
  readonly name: string;
  readonly summary: string;
  readonly description: string;
  readonly options: readonly OptionShape[];
  readonly arguments: readonly ArgumentShape[];
}

export interface ProgramShape {
  readonly name: string;
  readonly description: string;
  /** Options before a command. */
  readonly options: readonly OptionShape[];
  readonly commands: readonly CommandShape[];
}

export function shapeOf(program: Command): ProgramShape {
  const commands = program.createHelp().visibleCommands(program);
  return {
    name: program.name(),
    description: program.description(),
    options: optionsOf(program),
    commands: commands.map((command) => commandShape(command, commands)),
  };
}

function commandShape(command: Command, all: readonly Command[]): CommandShape {
  const isHelp = command.name() === "help";
  return {
    name: command.name(),
    summary: command.summary() || command.description(),
    description: command.description(),
    options: optionsOf(command),
    arguments: command.registeredArguments.map((argument) => {
      const shape = argumentShape(argument);
      return isHelp ? { ...shape, values: wordsOf(all.map((it) => it.name())) } : shape;
    }),
  };
}

const optionsOf = (command: Command): OptionShape[] => command.createHelp().visibleOptions(command).map(optionShape);

function optionShape(option: Option): OptionShape {
  const { short, long, flags, description, helpGroupHeading, parseArg, required, optional } = option;
  if (long === undefined) throw new TypeError(`the option ${flags} has no long form`);
  const takesValue = required || optional;
  return {
    short,
    long,
    flags,
    description,
    values: takesValue ? valuesOf(/<(.*)>/.exec(flags)?.[1] ?? "", option.argChoices) : undefined,
    repeats: option.variadic || (parseArg !== undefined && /\brepeat\b/.test(description)),
    group: helpGroupHeading,
  };
}

function argumentShape(argument: Argument): ArgumentShape {
  const { description, required, argChoices } = argument;
  return { name: argument.name(), description, required, values: valuesOf(argument.name(), argChoices) };
}

/** `word` is the placeholder of the value in the help: "file", or the words themselves as in "lmdb|memory". */
function valuesOf(word: string, choices: readonly string[] | undefined): Values {
  if (choices) return wordsOf(choices);
  if (word.includes("|")) return wordsOf(word.split("|"));
  return word === "file" || word === "path" ? { kind: "file" } : { kind: "free" };
}

const wordsOf = (words: readonly string[]): Values => ({ kind: "words", words });

/** A text in single quotes, which all three shells read the same. `quote` replaces a quote inside. */
export const shellQuoted = (text: string, quote = "'\\''"): string => `'${text.replaceAll("'", quote)}'`;
