/** `m2push token`: makes tokens with the configured keys, and says which rule accepts or refuses one. */
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { Argument, type Command, InvalidArgumentError, Option } from "commander";
import { M2pushError } from "../errors.js";
import { parseDuration } from "../util/units.js";
import { type Io, processIo } from "./io.js";
import { addConfigOptions, loadFor } from "./options.js";
import { checkToken } from "./token/check-token.js";
import { type MakeOptions, makeToken } from "./token/make-token.js";
import { revokeToken } from "./token/revoke-token.js";

const DESCRIPTION =
  "make signs a token with the configured secret, or with a private key (--private-key) whose public half is configured, and prints it. " +
  "check reads a token as the running daemon does, with the same keys and rules, and says for each role and topic which rule accepts or " +
  "refuses it. Exit code 1 when it is refused. revoke makes a token invalid before its exp, and ends its streams, on all nodes of a cluster; " +
  "it asks the running daemon ([admin] listen).";

const MAX_TOKEN_BYTES = 100_000;
const NO_TOKEN = "check needs a token; fix: pass it as an argument, or - for standard input";
const NOT_ONE_TOKEN = "revoke needs one of a token, --jti and --sub";
const DEFAULT_LIFETIME = "1h";
const NEVER = "never";

type Action = "make" | "check" | "revoke";

export function addToken(program: Command, io: Io = processIo): void {
  const command = program.command("token").summary("make, check or revoke a token").description(DESCRIPTION);
  command.addArgument(new Argument("<action>", "make, check or revoke").choices(["make", "check", "revoke"]));
  command.argument("[jwt]", 'check, revoke: the token; "-": from standard input');
  command.argument("[topic]", "check: a topic to publish or to subscribe to");
  for (const option of makeOptions()) command.addOption(option);
  addConfigOptions(command).action(async (action: Action, jwt: string | undefined, topic: string | undefined) => {
    const { config } = loadFor(command, io);
    const context = { config, clock: io.clock };
    const token = jwt === "-" ? await readToken(io) : jwt;
    if (action === "check") {
      if (token === undefined) return command.error(NO_TOKEN);
      io.stdout.write(await checkToken(token, topic, context));
      return;
    }
    if (action === "revoke") {
      const { jti, sub, iss } = command.opts<{ jti?: string; sub?: string; iss?: string }>();
      if ([token, jti, sub].filter((it) => it !== undefined).length !== 1) return command.error(NOT_ONE_TOKEN);
      const named = { ...(token && { token }), ...(jti && { jti }), ...(sub && { sub }), ...(iss && { iss }) };
      io.stdout.write(`${await revokeToken(named, context)}\n`);
      return;
    }
    if (jwt !== undefined) command.error("make takes no argument; fix: name topics with --publish and --subscribe");
    const { privateKey, ...given } = command.opts<MakeOptions & { privateKey?: string }>();
    const pem = privateKey === undefined ? undefined : readKey(resolve(io.cwd, privateKey));
    io.stdout.write(`${await makeToken({ ...given, ...(pem !== undefined && { pem }) }, context)}\n`);
  });
}

function makeOptions(): Option[] {
  return [
    new Option("--publish <topic...>", "make: topics on which the holder may publish").argParser(collect),
    new Option("--subscribe <topic...>", "make: topics whose private events the holder receives").argParser(collect),
    new Option("--url-patterns", "make: the topics are URL patterns (draft-08); in 0.x, URI templates need no option"),
    new Option("--expires <duration>", `make: lifetime, such as "15m" or "30d"; ${NEVER}: none (0.x only)`)
      .argParser(readLifetime)
      .default(readLifetime(DEFAULT_LIFETIME), DEFAULT_LIFETIME),
    new Option("--sub <name>", "make: the holder; revoke: all tokens of this holder that were issued until now"),
    new Option("--jti <id>", "revoke: the token with this id"),
    new Option(
      "--iss <name>",
      "make: the issuer; that of an [[issuer]] table selects its keys (default: [auth] issuer); revoke: only its tokens",
    ),
    new Option("--payload <json>", "make: what other subscribers see of the holder").argParser(readJson),
    new Option(
      "--dialect <name>",
      "make: form of the token (default: 0.x, or draft-08 where [hub] protocol is that)",
    ).choices(["0.x", "draft-08"]),
    new Option("--role <name>", "make: whose key signs, where subscriber_key is another one")
      .choices(["publisher", "subscriber"])
      .default("publisher"),
    new Option("--private-key <file>", "make: private key as PEM, where the configured key is a public one"),
  ];
}

const collect = (topic: string, before: readonly string[] = []): readonly string[] => [...before, topic];

/** Milliseconds; Infinity = no end. */
function readLifetime(text: string): number {
  const ms = text === NEVER ? Number.POSITIVE_INFINITY : parseDuration(text);
  if (ms === undefined || ms <= 0) throw new InvalidArgumentError(`expected a duration such as "15m", or ${NEVER}`);
  return ms;
}

function readJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new InvalidArgumentError("expected JSON");
  }
}

function readKey(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    throw new M2pushError("config_invalid", `--private-key: cannot read ${path} (${code})`, { cause });
  }
}

/** A token on the command line is visible to every user of the machine. */
async function readToken({ stdin }: Io): Promise<string> {
  let text = "";
  for await (const piece of stdin) {
    text += String(piece);
    if (text.length > MAX_TOKEN_BYTES)
      throw new M2pushError("too_large", `standard input has more than ${MAX_TOKEN_BYTES} bytes, which no token has`);
  }
  return text.trim();
}
