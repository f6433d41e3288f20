/** The daemon as its users run it: the built program, in a process of its own. */
import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Changes, WAIT_TIMEOUT_MS } from "./deadline.js";
import { Child, type Exit, PROJECT, removeDirectory, temporaryDirectory } from "./processes.js";

/** One line of the log: pino's members, and whatever the event has. */
export interface LogLine {
  readonly msg?: string;
  readonly level?: number | string;
  readonly [member: string]: unknown;
}

export interface DaemonOptions {
  /** The configuration, as TOML; relative paths in it are relative to `dir`. */
  readonly config: string;
  /** Set or, where undefined, taken away; M2PUSH_ variables of the test's own environment are never passed on. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Where the configuration and data are; absent = a new directory, removed by stop(). Give it to start on old data. */
  readonly dir?: string;
  /** Absent = ["serve"]. "-c FILE" follows. */
  readonly command?: readonly string[];
  /** The program; absent = dist/cli/main.js. */
  readonly program?: string;
  /** How many files it may open; absent = as many as the test. */
  readonly files?: number;
}

export class Daemon {
  readonly dir: string;
  readonly configFile: string;
  /** Every line of stdout that is JSON, in order. */
  readonly log: LogLine[] = [];
  /** Lines of stdout that are not. */
  readonly noise: string[] = [];
  readonly #child: Child;
  readonly #ownsDir: boolean;
  readonly #changes = new Changes();
  #rest = "";

  constructor(options: DaemonOptions) {
    this.#ownsDir = options.dir === undefined;
    this.dir = options.dir ?? temporaryDirectory();
    this.configFile = join(this.dir, "m2push.toml");
    writeFileSync(this.configFile, options.config);
    const program = options.program ?? join(PROJECT, "dist/cli/main.js");
    if (!existsSync(program)) throw new Error(`${program} is not there: npm run build`);
    const args = ["--enable-source-maps", program, ...(options.command ?? ["serve"]), "-c", this.configFile];
    const { files } = options;
    const [command = "", ...rest] =
      files === undefined
        ? [process.execPath, ...args]
        : ["sh", "-c", `ulimit -n ${files} && exec "$0" "$@"`, process.execPath, ...args];
    this.#child = new Child(command, rest, this.dir, environment(options.env ?? {}));
    this.#child.process.stdout?.on("data", (text: string) => this.#read(text));
    void this.#child.closed.then(() => this.#changes.tell());
  }

  get pid(): number {
    return this.#child.pid;
  }

  /** Resolves when it has ended. */
  get closed(): Promise<void> {
    return this.#child.closed;
  }

  get stderr(): string {
    return this.#child.stderr;
  }

  /** How it ended; undefined while it runs. */
  get exit(): Exit | undefined {
    return this.#child.exit;
  }

  /** Resolves when it has ended by itself or otherwise. */
  get exited(): Promise<Exit> {
    return this.#child.exited;
  }

  /**
   * The first line of the log that `wanted` likes, from line `from` on (as in `daemon.log.length`), now or later. Rejects at
   * once when the daemon ends without having written it.
   */
  logged(wanted: (line: LogLine) => boolean, what: string, { from = 0, ms = WAIT_TIMEOUT_MS } = {}): Promise<LogLine> {
    let seen = from;
    const look = () => {
      while (seen < this.log.length) {
        const line = this.log[seen++];
        if (line && wanted(line)) return line;
      }
      if (this.#child.exit && this.#child.process.stdout?.readableEnded)
        throw new Error(`the daemon ended before ${what}${this.#found()}`);
      return undefined;
    };
    return this.#changes.until(look, what, ms, () => this.#found());
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.signal(signal);
  }

  /** Asks it to end and resolves with the exit code; null when a signal, ours or the last one, killed it. */
  async stop(signal: NodeJS.Signals = "SIGTERM"): Promise<number | null> {
    const { code } = await this.#child.end(signal);
    await this.#child.closed;
    this.#clean();
    return code;
  }

  /** Kills it without warning. The directory stays if it was given. */
  async kill9(): Promise<void> {
    await this.#child.kill9();
    this.#clean();
  }

  #clean(): void {
    if (this.#ownsDir) removeDirectory(this.dir);
  }

  #read(text: string): void {
    const lines = (this.#rest + text).split("\n");
    this.#rest = lines.pop() ?? "";
    for (const line of lines) this.#line(line);
    this.#changes.tell();
  }

  #line(line: string): void {
    const entry = parsed(line);
    if (entry) this.log.push(entry);
    else this.noise.push(line);
  }

  #found(): string {
    const tail = this.log.slice(-30).map((line) => JSON.stringify(line));
    return `; ${JSON.stringify(this.exit ?? "running")}, log:\n${[...tail, ...this.noise, this.stderr].join("\n")}`;
  }
}

/** Starts the daemon; the caller must stop() it. It is not ready yet: wait for what the test needs with logged(). */
export function startDaemon(options: DaemonOptions): Daemon {
  return new Daemon(options);
}

function parsed(line: string): LogLine | undefined {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === "object" && value !== null ? (value as LogLine) : undefined;
  } catch {
    return undefined;
  }
}

function environment(changes: Readonly<Record<string, string | undefined>>): NodeJS.ProcessEnv {
  const kept = Object.entries(process.env).filter(([name]) => !name.startsWith("M2PUSH_"));
  return Object.fromEntries(
    Object.entries({ ...Object.fromEntries(kept), ...changes }).filter(([, value]) => value !== undefined),
  );
}
