/** What `m2push subscribe` does with an event: prints it, or runs a command for it. Resolves when the next event may come. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { messageOf } from "../../errors.js";
import { escapeJson, escapeUnprintable, quote } from "../../util/escape.js";

interface ReceivedEvent {
  readonly type: string;
  readonly data: string;
  readonly id: string;
}

export type HandleEvent = (event: ReceivedEvent) => Promise<void>;

type Output = NodeJS.WritableStream & { readonly isTTY?: boolean };

/** Prints the data as they are; on a terminal without characters that a terminal interprets. Waits while the output is full. */
export function printData(output: Output, signal: AbortSignal): HandleEvent {
  const { isTTY = false } = output;
  return ({ data }) => write(output, `${isTTY ? escapeUnprintable(data) : data}\n`, signal);
}

/** Prints a line of JSON for each event. */
export function printJson(output: Output, signal: AbortSignal): HandleEvent {
  return ({ id, type, data }) => write(output, `${escapeJson(JSON.stringify({ id, type, data }))}\n`, signal);
}

async function write(output: Output, text: string, signal: AbortSignal): Promise<void> {
  if (output.write(text)) return;
  try {
    await once(output, "drain", { signal });
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}

export interface CommandOptions {
  /** For sh -c. */
  readonly command: string;
  readonly topics: readonly string[];
  readonly cwd: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** A command failed; the next event follows. */
  failed(what: string): void;
}

/**
 * Runs the command for each event, one after the other: the data on standard input; M2PUSH_ID, M2PUSH_TYPE and M2PUSH_TOPIC (the topics that
 * were subscribed to, one a line) in the environment. Nothing of an event is part of a command line.
 */
export function runCommandFor({ command, topics, cwd, env, failed }: CommandOptions): HandleEvent {
  return async ({ id, type, data }) => {
    const own = { M2PUSH_ID: id, M2PUSH_TYPE: type, M2PUSH_TOPIC: topics.join("\n") };
    const how = await ended(command, cwd, { ...env, ...own }, data);
    if (how !== undefined) failed(`the command ${how} for the event ${quote(id)}`);
  };
}

/** How the command failed; undefined = it did not. */
function ended(command: string, cwd: string, env: NodeJS.ProcessEnv, input: string): Promise<string | undefined> {
  return new Promise((resolve) => {
    const notStarted = (error: unknown) => resolve(`could not be started (${messageOf(error)})`);
    try {
      const child = spawn("sh", ["-c", command], { cwd, env, stdio: ["pipe", "inherit", "inherit"] });
      child.once("error", notStarted);
      child.once("close", (code, signal) =>
        resolve(code === 0 ? undefined : signal === null ? `ended with code ${code}` : `was ended by ${signal}`),
      );
      // A command need not read its input (EPIPE).
      child.stdin.on("error", () => {});
      child.stdin.end(input);
    } catch (error) {
      notStarted(error); // an id or type that no variable of the environment can have
    }
  });
}
