/** The completion script for bash (4.4 and later). Nothing but a list: it starts no m2push while somebody types. */
import type { CommandShape, OptionShape, ProgramShape, Values } from "./program-shape.js";
import { quoted } from "./program-shape.js";

export function bash({ name, options, commands }: ProgramShape): string {
  const names = [...flagsOf(options), ...commands.map((command) => command.name)];
  return `# Completion of ${name} for bash; made by \`${name} completion bash\`.
_${name}() {
  local cur=\${COMP_WORDS[COMP_CWORD]} prev=\${COMP_WORDS[COMP_CWORD - 1]} command= words= at
  # bash parts --option=value into three words.
  if [[ $cur == = ]]; then
    cur=
  elif [[ $prev == = ]]; then
    prev=\${COMP_WORDS[COMP_CWORD - 2]}
  fi
  for ((at = 1; at < COMP_CWORD; at++)); do
    [[ \${COMP_WORDS[at]} == -* ]] || { command=\${COMP_WORDS[at]} && break; }
  done
  case $command,$prev in
${commands.flatMap(valueCases).join("\n")}
  esac
  case $command in
    '') words=${quoted(names.join(" "))} ;;
${commands.map(wordsCase).join("\n")}
  esac
  mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
}
complete -F _${name} ${name}
`;
}

/** What follows an option that takes a value. */
function valueCases({ name, options }: CommandShape): string[] {
  return options.flatMap((option) => {
    if (!option.values) return [];
    const patterns = flagsOf([option]).map((flag) => `${name},${flag}`);
    return [`    ${patterns.join(" | ")}) ${reply(option.values)} ;;`];
  });
}

function reply(values: Values): string {
  if (values.kind === "free") return "return";
  if (values.kind === "words")
    return `mapfile -t COMPREPLY < <(compgen -W ${quoted(values.words.join(" "))} -- "$cur") && return`;
  return 'compopt -o filenames && mapfile -t COMPREPLY < <(compgen -f -- "$cur") && return';
}

function wordsCase({ name, options, arguments: them }: CommandShape): string {
  const words = them.flatMap(({ values }) => (values.kind === "words" ? values.words : []));
  return `    ${name}) words=${quoted([...words, ...flagsOf(options)].join(" "))} ;;`;
}

const flagsOf = (options: readonly OptionShape[]): string[] =>
  options.flatMap(({ short, long }) => (short === undefined ? [long] : [short, long]));
