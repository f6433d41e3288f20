/** The options that several commands have: the configuration file, and a flag for every key with a single value. */
import { type Command, InvalidArgumentError, Option } from "commander";
import { describeKey } from "../config/describe-key.js";
import { type LoadedConfig, loadConfig } from "../config/load-config.js";
import { type Config, type ServerConfig, scalarKeys } from "../config/schema.js";
import { checkTopicTables } from "./check-topic-tables.js";
import { type Io, processIo } from "./io.js";

const CONFIG_OPTIONS_HEADING = "Configuration options (also keys of the file, and variables M2PUSH_SECTION_KEY):";

const configOptions = scalarKeys.map(({ path, flag, key }) => ({
  path,
  option: new Option(`${flag} <${key.type.word}>`, describeKey(key)).helpGroup(CONFIG_OPTIONS_HEADING),
}));

/** Adds -c FILE. */
export function addFileOption(command: Command): Command {
  return command.option("-c, --config <file>", "configuration file (default: none, all keys have their defaults)");
}

/** Adds -c FILE and a flag for each key with a single value. */
export function addConfigOptions(command: Command): Command {
  addFileOption(command);
  for (const { option } of configOptions) command.addOption(option);
  return command;
}

/** Adds --shared. */
export function addSharedOption(command: Command): Command {
  const description = "share every send_spec with other daemons, as [[mongrel2]] shared = true does";
  return command.option("--shared", description);
}

/** Loads the configuration that the options name. Throws ConfigError. Each call reads the file again. */
export function loadFor(command: Command, io: Pick<Io, "env" | "cwd"> = processIo): LoadedConfig {
  const { shared, ...given } = command.opts<Record<string, string | undefined> & { shared?: true }>();
  const flags = Object.fromEntries(configOptions.map(({ path, option }) => [path, given[option.attributeName()]]));
  const loaded = loadConfig({ file: given.config, env: io.env, flags, cwd: io.cwd });
  checkTopicTables(loaded);
  return shared ? { ...loaded, config: allShared(loaded.config) } : loaded;
}

function allShared({ mongrel2: [first, ...others], ...config }: Config): Config {
  const shared = (server: ServerConfig): ServerConfig => ({ ...server, shared: true });
  return { ...config, mongrel2: [shared(first), ...others.map(shared)] };
}

/** Parses the URL of a hub. Throws InvalidArgumentError. */
export function readUrl(text: string): URL {
  if (/^https?:/.test(text) && URL.canParse(text)) return new URL(text);
  throw new InvalidArgumentError('Expected a URL such as "http://localhost:6767/.well-known/mercure".');
}

/** A parser of a whole number in this range; `max` has at most nine digits. It throws InvalidArgumentError. */
export const wholeNumber =
  (min: number, max: number) =>
  (text: string): number => {
    if (/^[0-9]{1,9}$/.test(text) && Number(text) >= min && Number(text) <= max) return Number(text);
    throw new InvalidArgumentError(`Expected a whole number from ${min} to ${max}.`);
  };
