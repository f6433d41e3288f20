/** The options that commands share: the configuration file, and a flag for every key with a single value. */
import { type Command, Option } from "commander";
import { type Loaded, loadConfig } from "../config/load-config.js";
import { type Config, type ServerConfig, scalarKeys } from "../config/schema.js";
import { type Io, processIo } from "./io.js";

const FLAGS = "Configuration (each also a key of the file and a variable M2PUSH_SECTION_KEY):";

const configOptions = scalarKeys.map(({ path, flag, key }) => ({
  path,
  option: new Option(`${flag} <${key.kind.word}>`, key.doc).helpGroup(FLAGS),
}));

/** Adds -c FILE. */
export function addFileOption(command: Command): Command {
  return command.option("-c, --config <file>", "read this configuration file");
}

/** Adds -c FILE and all --section-key flags. */
export function addConfigOptions(command: Command): Command {
  addFileOption(command);
  for (const { option } of configOptions) command.addOption(option);
  return command;
}

/** Adds --shared. */
export function addSharedOption(command: Command): Command {
  const doc =
    "serve beside other daemons that read from the same send_spec ([[mongrel2]] shared = true for all of them)";
  return command.option("--shared", doc);
}

/** Loads what the command's options ask for. Throws ConfigError. Call it again to re-read the file. */
export function loadFor(command: Command, io: Pick<Io, "env" | "cwd"> = processIo): Loaded {
  const { shared, ...given } = command.opts<Record<string, string | undefined> & { shared?: true }>();
  const flags = Object.fromEntries(configOptions.map(({ path, option }) => [path, given[option.attributeName()]]));
  const loaded = loadConfig({ file: given.config, env: io.env, flags, cwd: io.cwd });
  return shared ? { ...loaded, config: allShared(loaded.config) } : loaded;
}

function allShared({ mongrel2: [first, ...others], ...config }: Config): Config {
  const shared = (server: ServerConfig): ServerConfig => ({ ...server, shared: true });
  return { ...config, mongrel2: [shared(first), ...others.map(shared)] };
}
