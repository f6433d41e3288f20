/** The hub and the token of commands that subscribe. */
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { Option } from "commander";
import type { Config } from "../config/schema.js";
import { M2pushError } from "../errors.js";
import { hubUrl } from "../http/app.js";
import { errorTexts } from "./error-texts.js";
import type { Io } from "./io.js";

export interface HubTarget {
  /** A copy: parameters may be added. */
  readonly url: URL;
  /** The parameter of a topic. */
  readonly parameter: "topic" | "match";
  /** The URL selects topics itself. */
  readonly hasOwnTopics: boolean;
}

/** The URL that was given, or the hub of the configuration, which is only read for it. */
export function hubTarget(given: URL | undefined, load: () => Config): HubTarget {
  const config = given === undefined ? load() : undefined;
  const url = new URL(given ?? hubUrl(config as Config));
  const hasOwnTopics = [...url.searchParams.keys()].some((name) => name === "topic" || name.startsWith("match"));
  return { url, parameter: config?.hub.protocol === "draft-08" ? "match" : "topic", hasOwnTopics };
}

export interface TokenOptions {
  readonly token?: string;
  readonly tokenFile?: string;
}

export function tokenOptions(): Option[] {
  return [
    new Option("--token <jwt>", "access token (default: the variable M2PUSH_TOKEN)"),
    new Option("--token-file <file>", "file with the access token; it is read again before each connection").conflicts(
      "token",
    ),
  ];
}

/** Throws "config_invalid". */
export function tokenFrom(
  { token, tokenFile }: TokenOptions,
  { env, cwd }: Pick<Io, "env" | "cwd">,
): string | undefined {
  const text =
    tokenFile === undefined ? (token ?? (env.M2PUSH_TOKEN || undefined)) : readToken(resolve(cwd, tokenFile));
  if (text === undefined || /^[\x21-\x7e]+$/.test(text)) return text;
  throw new M2pushError("config_invalid", errorTexts.tokenCharacters);
}

function readToken(path: string): string {
  try {
    return readFileSync(path, "utf8").trim();
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    throw new M2pushError("config_invalid", `--token-file: cannot read ${path} (${code})`, { cause });
  }
}
