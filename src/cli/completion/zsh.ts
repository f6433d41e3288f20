/** The completion script for zsh, for a folder of $fpath or to be sourced after compinit. It starts no m2push while somebody types. */
import type { ArgumentShape, CommandShape, OptionShape, ProgramShape, Values } from "./program-shape.js";
import { quoted } from "./program-shape.js";

export function zsh({ name, options, commands }: ProgramShape): string {
  const described = commands.map((command) => `    ${quoted(`${command.name}:${command.summary}`)}`);
  return `#compdef ${name}
# Completion of ${name} for zsh; made by \`${name} completion zsh\`.
_${name}() {
  local curcontext=$curcontext state line
  typeset -A opt_args
  local -a commands=(
${described.join("\n")}
  )
  _arguments -C ${options.flatMap(optionSpecs).join(" ")} '1: :->command' '*:: :->arguments'
  case $state in
    command) _describe -t commands command commands ;;
    arguments)
      case $line[1] in
${commands.map(commandCase).join("\n")}
      esac
      ;;
  esac
}
if [[ $funcstack[1] == _${name} ]]; then _${name} "$@"; else compdef _${name} ${name}; fi
`;
}

function commandCase({ name, options, arguments: them }: CommandShape): string {
  const specs = [...options.flatMap(optionSpecs), ...them.map(argumentSpec)];
  return `        ${name}) _arguments -s \\\n          ${specs.join(" \\\n          ")} ;;`;
}

/** One for each name of an option, which excludes the others unless it may be repeated. */
function optionSpecs({ short, long, description, values, repeats }: OptionShape): string[] {
  const names = short === undefined ? [long] : [short, long];
  const before = repeats ? "*" : `(${names.join(" ")})`;
  const action = values === undefined ? "" : `:${values.kind === "file" ? "file" : "value"}:${actionOf(values)}`;
  return names.map((name) => {
    const takes = values !== undefined && name.startsWith("--") ? "=" : "";
    return quoted(`${before}${name}${takes}[${escaped(description)}]${action}`);
  });
}

function argumentSpec({ required, description, values }: ArgumentShape, at: number): string {
  return quoted(`${at + 1}:${required ? "" : ":"}${escaped(description)}:${actionOf(values)}`);
}

function actionOf(values: Values): string {
  if (values.kind === "file") return "_files";
  return values.kind === "words" ? `(${values.words.join(" ")})` : " ";
}

/** Brackets end a description, colons a part of a specification. */
const escaped = (text: string): string => text.replace(/[[\]:\\]/g, "\\$&");
