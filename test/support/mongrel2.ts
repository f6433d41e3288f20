/** A real Mongrel2, started for one test on ports of its own, in a directory of its own. */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { conf, type Handler, type HandlerOptions, SERVER, type Settings } from "./mongrel2-conf.js";
import { freePort, listeningPorts } from "./ports.js";
import { Child, type Exit, removeDirectory, run, temporaryDirectory } from "./processes.js";

export interface Mongrel2Options {
  /** Absent = one handler for the paths of the daemon. Each gets sockets of its own. */
  readonly handlers?: readonly HandlerOptions[];
  /** Of the one handler when `handlers` is absent. */
  readonly protocol?: "json" | "tnetstring";
  /** The sockets of the handlers; ipc ones lie in the server's directory. Absent = tcp. */
  readonly transport?: "tcp" | "ipc";
  /** Added to, or instead of, server.daemonize 0 and limits.min_ping 0. */
  readonly settings?: Settings;
  /** Files below html/, by name. */
  readonly html?: Readonly<Record<string, string>>;
}

const DEFAULT_SETTINGS: Settings = { "server.daemonize": 0, "limits.min_ping": 0 };
const DEFAULT_ROUTES = ["/esupdates()$", "/.well-known/mercure", "/.well-known/oauth-protected-resource"];
/** m2sh takes the user's name from here, and calls it an error when there is none. */
const ENV = { ...process.env, LOGNAME: process.env.LOGNAME ?? "m2push" };
/** From its start to listening takes about 20 ms on an idle machine; with a handler's port taken it gives up after 10 s. */
const START_MS = 15_000;
const START_TRIES = 3;
const LOOK_EVERY_MS = 5;

export class Mongrel2 {
  readonly dir: string;
  /** Of HTTP, on 127.0.0.1. */
  readonly port: number;
  readonly uuid = SERVER.uuid;
  readonly name = SERVER.name;
  /** In the order of the options; the first one's members are repeated below. */
  readonly handlers: readonly Handler[];
  readonly sendSpec: string;
  readonly recvSpec: string;
  readonly sendIdent: string;
  readonly recvIdent: string;
  readonly controlSpec: string;
  /** The config database that m2sh made. */
  readonly database: string;
  #child: Child | undefined;

  constructor(dir: string, port: number, handlers: readonly [Handler, ...Handler[]], settings: Settings) {
    const [first] = handlers;
    this.dir = dir;
    this.port = port;
    this.handlers = handlers;
    this.sendSpec = first.sendSpec;
    this.recvSpec = first.recvSpec;
    this.sendIdent = first.sendIdent;
    this.recvIdent = first.recvIdent;
    this.controlSpec = `ipc://${join(dir, "run", "control")}`;
    this.database = join(dir, "config.sqlite");
    writeFileSync(join(dir, "mongrel2.conf"), conf({ port, controlSpec: this.controlSpec, handlers, settings }));
  }

  /** "http://127.0.0.1:PORT", to which a path is added. */
  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  get pid(): number {
    return this.#running().pid;
  }

  /** error.log, and what it printed before it had one. */
  get log(): string {
    try {
      return (this.#child?.stderr ?? "") + readFileSync(join(this.dir, "logs", "error.log"), "utf8");
    } catch {
      return this.#child?.stderr ?? "";
    }
  }

  /** Starts the process and waits until it listens on all its ports. Connections are numbered from 1. */
  async start(): Promise<void> {
    if (this.#child && !this.#child.exit) throw new Error("this Mongrel2 is running");
    const child = new Child("mongrel2", [this.database, this.uuid], this.dir, ENV);
    this.#child = child;
    const specs = this.handlers.flatMap(({ sendSpec, recvSpec }) => [sendSpec, recvSpec]);
    await listening(child, [this.port, ...specs.flatMap(tcpPort)], () => this.log);
  }

  /** Ends it as an operator would (a SIGABRT on the way out is its habit), then starts it again on the same addresses. */
  async restart(): Promise<void> {
    await this.#child?.end("SIGTERM");
    await this.start();
  }

  /** Kills it without warning; restart() may follow. */
  async kill9(): Promise<void> {
    await this.#running().kill9();
  }

  /** Stops the process as if the machine were overloaded: sockets stay open, nothing is read, written or accepted. */
  suspend(): void {
    this.#running().signal("SIGSTOP");
  }

  resume(): void {
    this.#running().signal("SIGCONT");
  }

  /** Ends it, by force if need be, and removes its directory. Says how it ended; harmless the second time. */
  async stop(): Promise<Exit | undefined> {
    const exit = await this.#child?.end("SIGTERM");
    removeDirectory(this.dir);
    return exit;
  }

  #running(): Child {
    if (!this.#child || this.#child.exit) throw new Error("this Mongrel2 is not running");
    return this.#child;
  }
}

/** Starts a Mongrel2; the caller must stop() it. Never collides with another: ports that turn out taken are changed. */
export async function startMongrel2(options: Mongrel2Options = {}): Promise<Mongrel2> {
  for (let attempt = 1; ; attempt++) {
    const server = await prepare(options);
    try {
      await server.start();
      return server;
    } catch (error) {
      await server.stop();
      if (attempt === START_TRIES) throw error;
    }
  }
}

async function prepare(options: Mongrel2Options): Promise<Mongrel2> {
  const dir = temporaryDirectory();
  for (const name of ["html", "logs", "run", "tmp"]) mkdirSync(join(dir, name));
  for (const [name, text] of Object.entries(options.html ?? {})) {
    mkdirSync(dirname(join(dir, "html", name)), { recursive: true });
    writeFileSync(join(dir, "html", name), text);
  }
  const wanted = options.handlers ?? [{ routes: DEFAULT_ROUTES, protocol: options.protocol ?? "json" }];
  const [first, ...rest] = await Promise.all(
    wanted.map((handler, i) => complete(handler, i, dir, options.transport ?? "tcp")),
  );
  if (!first) throw new TypeError("a Mongrel2 needs a handler");
  const server = new Mongrel2(dir, await freePort(), [first, ...rest], { ...DEFAULT_SETTINGS, ...options.settings });
  await load(server);
  return server;
}

async function complete(
  options: HandlerOptions,
  index: number,
  dir: string,
  transport: "tcp" | "ipc",
): Promise<Handler> {
  const sendIdent = options.sendIdent ?? `m2push-test-${index + 1}`;
  const spec = async (name: string) =>
    transport === "tcp" ? `tcp://127.0.0.1:${await freePort()}` : `ipc://${join(dir, "run", name)}`;
  return {
    routes: options.routes,
    protocol: options.protocol ?? "json",
    sendIdent,
    recvIdent: options.recvIdent ?? `${sendIdent} `,
    sendSpec: await spec(`send-${index}`),
    recvSpec: await spec(`recv-${index}`),
  };
}

/** m2sh exits with 0 whatever happens: what it prints is the only sign. */
async function load(server: Mongrel2): Promise<void> {
  const { output } = await run("m2sh", ["load", "-config", "mongrel2.conf", "-db", server.database], server.dir, ENV);
  if (!output.includes("[ERROR]")) return;
  const text = readFileSync(join(server.dir, "mongrel2.conf"), "utf8");
  removeDirectory(server.dir);
  throw new Error(`m2sh load:\n${output}\n${text}`);
}

function tcpPort(spec: string): number[] {
  const port = /^tcp:.*:(\d+)$/.exec(spec)?.[1];
  return port === undefined ? [] : [Number(port)];
}

/** Resolves when the process itself, not just anybody, listens on all the ports. */
export async function listening(child: Child, ports: readonly number[], log: () => string): Promise<void> {
  for (const end = Date.now() + START_MS; !listensOn(child, ports); await pause(LOOK_EVERY_MS)) {
    if (!child.exit && Date.now() < end) continue;
    const how = child.exit
      ? `ended: ${JSON.stringify(child.exit)}`
      : `did not listen on ${ports} within ${START_MS} ms`;
    throw new Error(`${child.name} ${how}\n${log()}`);
  }
}

function listensOn(child: Child, ports: readonly number[]): boolean {
  if (child.exit) return false;
  const open = listeningPorts(child.pid);
  return ports.every((port) => open.has(port));
}
