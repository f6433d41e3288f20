/** Writes mongrel2.conf for the tests' servers. */

export interface HandlerOptions {
  /** Paths that go to this handler, as route keys ("()$" pins one to exactly that path). */
  readonly routes: readonly string[];
  /** How headers come; "json" is Mongrel2's default and the tests'. */
  readonly protocol?: "json" | "tnetstring";
  readonly sendIdent?: string;
  /** Prefix of the replies that are taken; absent = sendIdent and one space. */
  readonly recvIdent?: string;
}

/** A handler with everything that was left open filled in. */
export interface Handler {
  readonly routes: readonly string[];
  readonly protocol: "json" | "tnetstring";
  readonly sendIdent: string;
  readonly recvIdent: string;
  readonly sendSpec: string;
  readonly recvSpec: string;
}

export type Settings = Readonly<Record<string, number | string>>;

/** The UUID of the tests' server, and its Host and name. */
export const SERVER = { uuid: "c0ffee00-0000-4000-8000-000000000001", name: "test", host: "localhost" } as const;

export interface Site {
  readonly port: number;
  readonly controlSpec: string;
  readonly handlers: readonly Handler[];
  readonly settings: Settings;
}

/** The whole file. Paths are relative to the directory Mongrel2 is started in, which needs html, logs and run. */
export function conf({ port, controlSpec, handlers, settings }: Site): string {
  const routes = handlers.flatMap((handler, i) => handler.routes.map((route) => `${quoted(route)}: handler_${i}`));
  return [
    ...handlers.map((handler, i) => `handler_${i} = Handler(${parameters(handlerParameters(handler))})`),
    "page = Dir(base='html/', index_file='index.html', default_ctype='text/plain')",
    `main = Server(uuid='${SERVER.uuid}', name='${SERVER.name}', bind_addr='127.0.0.1', port=${port}, chroot='',`,
    `  default_host='${SERVER.host}', access_log='logs/access.log', error_log='logs/error.log', pid_file='run/mongrel2.pid',`,
    `  control_port=${quoted(controlSpec)},`,
    `  hosts=[Host(name='${SERVER.host}', routes={'/': page, ${routes.join(", ")}})])`,
    `settings = {${Object.entries(settings)
      .map(([key, value]) => `${quoted(key)}: ${quoted(value)}`)
      .join(", ")}}`,
    "servers = [main]",
    "",
  ].join("\n");
}

function handlerParameters(handler: Handler): Record<string, string> {
  const { sendSpec, sendIdent, recvSpec, recvIdent, protocol } = handler;
  return { send_spec: sendSpec, send_ident: sendIdent, recv_spec: recvSpec, recv_ident: recvIdent, protocol };
}

function parameters(values: Record<string, string>): string {
  return Object.entries(values)
    .map(([key, value]) => `${key}=${quoted(value)}`)
    .join(", ");
}

/** Strings have no escapes in this syntax; numbers are whole and not negative. */
function quoted(value: string | number): string {
  if (typeof value === "number") {
    if (!Number.isSafeInteger(value) || value < 0)
      throw new TypeError(`mongrel2.conf takes whole numbers from 0, not ${value}`);
    return String(value);
  }
  if (/['\n]/.test(value)) throw new TypeError(`mongrel2.conf cannot hold ${JSON.stringify(value)}`);
  return `'${value}'`;
}
