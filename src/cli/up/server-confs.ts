/**
 * The configurations of several Mongrel2s for `m2push up --servers N`, made of the mongrel2.conf of one: the same hosts and routes; sockets,
 * ports and files of their own. Only what must differ is replaced, so that everything else stays as its owner wrote it.
 */
import { resolve } from "node:path";
import type { Config, ServerConfig } from "../../config/schema.js";
import { M2pushError } from "../../errors.js";
import type { Mongrel2Files } from "../../mongrel2/mongrel2-process.js";

export const MAX_SERVER_COUNT = 16;

export interface ServerPlan {
  readonly files: Mongrel2Files;
  /** The text of files.conf. */
  readonly text: string;
  /** Of its web server, on 127.0.0.1. */
  readonly port: number;
  /** Its [[mongrel2]] table. */
  readonly server: ServerConfig;
}

/** Keys of a Server that the generated text states itself. */
const OWN_KEYS =
  /\b(?:uuid|bind_addr|port|access_log|error_log|pid_file|control_port)\s*=\s*(?:'[^']*'|"[^"]*"|\d+)\s*,?/g;
const UUID_SUFFIX_DIGITS = 4;

/** The n-th Mongrel2 listens on the n-th port above `port`. Throws "config_invalid" for a text that cannot be multiplied. */
export function planServers(conf: string, text: string, { count, port, config }: PlanOptions): ServerPlan[] {
  const [server, ...others] = config.mongrel2;
  if (others.length > 0)
    throw invalid(
      `the configuration has ${config.mongrel2.length} [[mongrel2]] tables`,
      "keep one: --servers makes the others",
    );
  const bare = text.replace(/^\s*#.*\n?/gm, "");
  return Array.from({ length: count }, (_, index) => planServer(conf, bare, { server, port, number: index + 1 }));
}

interface PlanOptions {
  readonly count: number;
  /** Of the Server in the text. */
  readonly port: number;
  readonly config: Config;
}

interface PlannedServer {
  readonly server: ServerConfig;
  readonly port: number;
  readonly number: number;
}

function planServer(conf: string, bare: string, { server: base, port: firstPort, number }: PlannedServer): ServerPlan {
  const files: Mongrel2Files = {
    conf: `run/server-${number}.conf`,
    database: `run/server-${number}.sqlite`,
    pid: `run/server-${number}.pid`,
    output: `logs/server-${number}.log`,
  };
  const server: ServerConfig = {
    ...base,
    name: `${base.name}-${number}`,
    send_spec: `ipc://run/send-${number}`,
    recv_spec: `ipc://run/recv-${number}`,
    send_ident: `${base.send_ident}-${number}`,
    control: `ipc://run/control-${number}`,
    database: resolve(files.database),
  };
  const port = firstPort + number;
  const head = `# Mongrel2 ${number}, made of ${conf} by \`m2push up --servers\`: edit that file.\n`;
  const text = withVisitors(withServer(withHandler(bare, base, server), { files, server, port, number }));
  return { files, text: head + text, port, server };
}

/** Every Handler is the daemon's: another one would have one socket for several Mongrel2s. */
function withHandler(text: string, base: ServerConfig, server: ServerConfig): string {
  const replaced = {
    send_spec: base.send_spec,
    recv_spec: base.recv_spec,
    send_ident: base.send_ident,
    recv_ident: `${base.send_ident} `,
  };
  const values: Readonly<Record<string, string>> = { ...server, recv_ident: `${server.send_ident} ` } as never;
  return text.replace(
    /\b(send_spec|recv_spec|send_ident|recv_ident)\s*=\s*(?:'([^']*)'|"([^"]*)")/g,
    (_, key, single, double) => {
      const found = single ?? double;
      if (found !== replaced[key as keyof typeof replaced])
        throw invalid(
          `its Handler with ${key} = '${found}' is not that of [[mongrel2]]`,
          "keep the daemon's Handler only, or run the Mongrel2s yourself, each with a conf of its own",
        );
      return `${key}='${values[key]}'`;
    },
  );
}

function withServer(
  text: string,
  { files, server, port, number }: Omit<ServerPlan, "text"> & { readonly number: number },
): string {
  const { start, end } = serverBlock(text);
  const block = text.slice(start, end);
  const uuid = /\buuid\s*=\s*['"]([^'"]+)['"]/.exec(block)?.[1] ?? "";
  const own = [
    `uuid='${uuid.slice(0, -UUID_SUFFIX_DIGITS)}${number.toString(16).padStart(UUID_SUFFIX_DIGITS, "0")}'`,
    "bind_addr='127.0.0.1'",
    `port=${port}`,
    `access_log='logs/access-${number}.log'`,
    `error_log='logs/error-${number}.log'`,
    `pid_file='${files.pid}'`,
    `control_port='${server.control}'`,
  ];
  // A Proxy in a Host of the Server has a port, too.
  const rest = block.replace(OWN_KEYS, (found, at: number) => (depthAt(block, at) === 0 ? "" : found));
  return `${text.slice(0, start)}\n    ${own.join(",\n    ")},\n    ${rest.trim().replace(/,$/, "")}${text.slice(end)}`;
}

/** Without this Mongrel2 replaces the visitor's address, which the proxy states, by the proxy's. */
function withVisitors(text: string): string {
  if (/['"]no_clobber_xff['"]/.test(text)) return text;
  const settings = /\bsettings\s*=\s*\{/.exec(text);
  if (!settings) return `${text.trimEnd()}\n\nsettings = {'no_clobber_xff': 1}\n`;
  const at = settings.index + settings[0].length;
  const isEmpty = /^\s*\}/.test(text.slice(at));
  return `${text.slice(0, at)}\n    'no_clobber_xff': 1${isEmpty ? "" : ","}${text.slice(at)}`;
}

/** What is between the parentheses of the one Server. */
function serverBlock(text: string): { readonly start: number; readonly end: number } {
  const [found, ...others] = [...text.matchAll(/\bServer\s*\(/g)];
  if (!found || others.length > 0) throw invalid(`it has ${others.length + (found ? 1 : 0)} Servers`, "keep one");
  const start = found.index + found[0].length;
  const closing = brackets(text.slice(start)).find(({ depth }) => depth < 0);
  if (!closing) throw invalid("the parenthesis of its Server is not closed", "close it");
  return { start, end: start + closing.at };
}

/** Brackets that are open before an index. */
const depthAt = (text: string, index: number): number => brackets(text).findLast(({ at }) => at < index)?.depth ?? 0;

/** Every bracket outside of texts, with the number of those that are open after it. */
function brackets(text: string): { readonly at: number; readonly depth: number }[] {
  let depth = 0;
  return [...text.matchAll(/'[^']*'|"[^"]*"|[()[\]{}]/g)]
    .filter(([token]) => token.length === 1)
    .map(({ 0: token, index }) => ({ at: index, depth: "([{".includes(token) ? ++depth : --depth }));
}

const invalid = (what: string, fix: string): M2pushError =>
  new M2pushError("config_invalid", `--servers cannot multiply Mongrel2's configuration: ${what}; fix: ${fix}`);
