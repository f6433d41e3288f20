/** The completion script for fish. Nothing but a list: it starts no m2push while somebody types. */
import type { CommandShape, OptionShape, ProgramShape } from "./program-shape.js";
import { quoted } from "./program-shape.js";

export function fish({ name, options, commands }: ProgramShape): string {
  const first = "-n __fish_use_subcommand";
  return [
    `# Completion of ${name} for fish; made by \`${name} completion fish\`.`,
    `complete -c ${name} -f`,
    ...options.map((option) => optionLine(name, first, option)),
    ...commands.map((command) => `complete -c ${name} ${first} -a ${command.name} -d ${text(command.summary)}`),
    ...commands.flatMap((command) => commandLines(name, command)),
    "",
  ].join("\n");
}

function commandLines(program: string, { name, options, arguments: them }: CommandShape): string[] {
  const when = `-n '__fish_seen_subcommand_from ${name}'`;
  const words = them.flatMap(({ values }) => (values.kind === "words" ? values.words : []));
  return [
    ...(words.length > 0 ? [`complete -c ${program} ${when} -a ${text(words.join(" "))}`] : []),
    ...options.map((option) => optionLine(program, when, option)),
  ];
}

function optionLine(program: string, when: string, { short, long, description, values }: OptionShape): string {
  const names = `${short === undefined ? "" : `-s ${short.slice(1)} `}-l ${long.slice(2)}`;
  const takes =
    values === undefined
      ? ""
      : values.kind === "file"
        ? " -r -F"
        : values.kind === "words"
          ? ` -x -a ${text(values.words.join(" "))}`
          : " -x";
  return `complete -c ${program} ${when} ${names}${takes} -d ${text(description)}`;
}

/** In single quotes fish knows two escapes. */
const text = (value: string): string => quoted(value.replaceAll("\\", "\\\\"), "\\'");
