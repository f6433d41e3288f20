/** m2push(1), the manual page, in man(7) macros. Commands and options are read from the program; the other sections are here. */
import type { CommandShape, OptionShape, ProgramShape } from "../../src/cli/completion/program-shape.js";

const FILES: readonly (readonly [name: string, text: string])[] = [
  [
    "/etc/m2push/m2push.toml",
    "Configuration of the service of the Debian package. m2push config --print prints every key.",
  ],
  [
    "/etc/m2push/mongrel2.conf",
    "Configuration of the Mongrel2 that the package runs beside it (mongrel2-m2push.service).",
  ],
  [
    "/var/lib/m2push",
    "Data folder ([history] path): past events and the list of connected clients. One daemon uses it at a time.",
  ],
];

const SIGNALS: readonly (readonly [name: string, text: string])[] = [
  [
    "SIGTERM, SIGINT",
    'Sends all accepted publications, then stops. Mongrel2 keeps the streams open, and the next daemon process adopts them; with --drain, or with [history] store = "memory", the daemon closes them. A second signal exits at once.',
  ],
  [
    "SIGHUP",
    "Reloads the configuration. The log names the changed keys that need a restart. An invalid file changes nothing.",
  ],
];

const EXIT: readonly (readonly [name: string, text: string])[] = [
  ["0", "Success."],
  ["1", "Failure; standard error has the cause and the fix."],
  ["2", "Wrong usage or an invalid configuration; standard error has all errors, one a line."],
  ["70", "Internal error of the daemon; the last line of its log has the level fatal and the error."],
];

const ENVIRONMENT =
  "Every key of the configuration that has a single value is also a variable: [stream] retry is M2PUSH_STREAM_RETRY. Flags " +
  "override variables, variables override the file. With M2PUSH_DEBUG set, errors are printed with their stacks.";

/** The page as roff source; view it with `man -l`. */
export function manPage(shape: ProgramShape, version: string): string {
  const { name, description, commands } = shape;
  const configured = commands.flatMap(({ options }) => options).find(({ group }) => group !== undefined)?.group;
  const flags = unique(commands.flatMap(({ options }) => options.filter(({ group }) => group !== undefined)));
  return [
    `.TH ${name.toUpperCase()} 1 "" "${name} ${version}" "User Commands"`,
    section("NAME", `${name} \\- ${text(description.replace(/\.$/, "").replace(/^The /, "the "))}`),
    section("SYNOPSIS", `.B ${name}\n.I command\n[options]`),
    section("COMMANDS", commands.map(commandEntry).join("\n")),
    ...(configured === undefined ? [] : [section("CONFIGURATION OPTIONS", flagEntries(flags))]),
    section("ENVIRONMENT", text(ENVIRONMENT)),
    section("SIGNALS", entries(SIGNALS)),
    section("FILES", entries(FILES)),
    section("EXIT STATUS", entries(EXIT)),
    section("SEE ALSO", "mongrel2(1), m2sh(1); the pages in /usr/share/doc/m2push."),
    "",
  ].join("\n");
}

const section = (title: string, body: string): string => `.SH ${title}\n${body}`;

function commandEntry({ name, description, summary, options, arguments: args }: CommandShape): string {
  const words = args.map((argument) => (argument.required ? `<${argument.name}>` : `[${argument.name}]`));
  const own = options.filter(({ group, long }) => group === undefined && long !== "--help");
  const takesFlags = options.some(({ group }) => group !== undefined);
  const more = takesFlags ? " Takes the configuration options below." : "";
  return [
    `.SS "${text([name, ...words].join(" "))}"`,
    text((description || `${summary}.`) + more),
    ...own.map(optionEntry),
  ].join("\n");
}

const flagEntries = (flags: readonly OptionShape[]): string =>
  ["Each option overrides a key of the configuration file.", ...flags.map(optionEntry)].join("\n");

const optionEntry = ({ flags, description }: OptionShape): string =>
  `.TP\n.B ${text(flags)}\n${text(description.replace(/([^.])$/, "$1."))}`;

const entries = (all: readonly (readonly [string, string])[]): string =>
  all.map(([name, about]) => `.TP\n.B ${text(name)}\n${text(about)}`).join("\n");

function unique(options: readonly OptionShape[]): OptionShape[] {
  return [...new Map(options.map((option) => [option.long, option])).values()];
}

/** groff(7): a backslash begins an escape, a dot or quote at the beginning of a line a request, a bare "-" is a hyphen. */
const text = (value: string): string =>
  value
    .replaceAll("\\", "\\e")
    .replaceAll("-", "\\-")
    .replaceAll('"', "\\(dq")
    .replace(/^([.'])/gm, "\\&$1");
