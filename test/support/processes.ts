/**
 * Child processes and directories that never outlive the test that made them, however it ends: a child is started under
 * setpriv(1) with a parent-death signal, so that the kernel kills it even when the test's own process is killed.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { within } from "./deadline.js";
import "./path.js";

/** How a process ended: an exit code, or the signal that killed it. */
export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** The project's directory; tests run from build/test/support. */
export const PROJECT = fileURLToPath(new URL("../../../", import.meta.url));

/** After this long a process that was asked to end is killed, milliseconds. */
const GRACE_MS = 20_000;

const directories = new Set<string>();
process.once("exit", () => {
  for (const directory of directories) rmSync(directory, { recursive: true, force: true, maxRetries: 3 });
});

/** A new empty directory with a short path (that of an ipc socket may have 107 bytes), removed when the tests end. */
export function temporaryDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), "m2p-"));
  directories.add(directory);
  return directory;
}

export function removeDirectory(directory: string): void {
  rmSync(directory, { recursive: true, force: true, maxRetries: 3 });
  directories.delete(directory);
}

export class Child {
  /** The program, as messages name it. */
  readonly name: string;
  readonly process: ChildProcess;
  /** Rejects only when it could not be started. */
  readonly exited: Promise<Exit>;
  /** Later than `exited`: everything that it, and its own children, printed is here, too. */
  readonly closed: Promise<void>;
  exit: Exit | undefined;
  stdout = "";
  stderr = "";

  constructor(command: string, args: readonly string[], cwd: string, env: NodeJS.ProcessEnv = process.env) {
    this.name = basename(command);
    this.process = spawn("setpriv", ["--pdeathsig", "KILL", "--", command, ...args], {
      cwd,
      env,
      stdio: ["ignore", "pipe", "pipe"],
    });
    this.process.stdout?.setEncoding("utf8").on("data", (text: string) => {
      this.stdout += text;
    });
    this.process.stderr?.setEncoding("utf8").on("data", (text: string) => {
      this.stderr += text;
    });
    this.closed = new Promise((resolve) => this.process.once("close", () => resolve()));
    this.exited = new Promise((resolve, reject) => {
      this.process.once("error", reject);
      this.process.once("exit", (code, signal) => {
        this.exit = { code, signal };
        resolve(this.exit);
      });
    });
    // A caller that awaits `exited` receives a failed start; without one it is no unhandled rejection.
    this.exited.catch(() => {});
  }

  get pid(): number {
    const { pid } = this.process;
    if (pid === undefined) throw new Error(`${this.process.spawnargs.join(" ")} did not start`);
    return pid;
  }

  /** Sends a signal to this process, if it is still there. */
  signal(signal: NodeJS.Signals): void {
    if (!this.exit) this.process.kill(signal);
  }

  async kill9(): Promise<Exit> {
    this.signal("SIGKILL");
    return within(GRACE_MS, this.exited, "a killed process to be gone");
  }

  /** Asks it to end, also if it is suspended; kills it when it does not. */
  async end(signal: NodeJS.Signals): Promise<Exit> {
    this.signal(signal);
    this.signal("SIGCONT");
    const late = setTimeout(() => this.signal("SIGKILL"), GRACE_MS);
    try {
      return await this.exited;
    } finally {
      clearTimeout(late);
    }
  }
}

/** Runs a command to its end. Rejects only when it cannot be started. */
export async function run(
  command: string,
  args: readonly string[],
  cwd: string,
  env?: NodeJS.ProcessEnv,
): Promise<{ exit: Exit; output: string }> {
  const child = new Child(command, args, cwd, env);
  const exit = await child.exited;
  await child.closed;
  return { exit, output: child.stdout + child.stderr };
}
