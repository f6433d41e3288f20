/** `m2push subscribe`: prints the events of a hub, or runs a command for each, until a signal ends it. */
import { type Command, InvalidArgumentError, Option } from "commander";
import { printableLine } from "../util/escape.js";
import { parseTime } from "../util/rfc3339.js";
import { parseDuration } from "../util/units.js";
import { errorTexts } from "./error-texts.js";
import { hubTarget, type TokenOptions, tokenFrom, tokenOptions } from "./hub-target.js";
import { type Io, processIo } from "./io.js";
import { addFileOption, loadFor, readUrl } from "./options.js";
import { type HandleEvent, printData, printJson, runCommandFor } from "./subscribe/event-output.js";
import { isSendable } from "./subscribe/event-stream.js";
import { type FollowObserver, follow, secondsText } from "./subscribe/follow.js";

interface SubscribeOptions extends TokenOptions {
  readonly topic?: readonly string[];
  readonly latest?: true;
  readonly last?: number;
  readonly since?: string;
  readonly lastEventId?: string;
  readonly json?: true;
  readonly exec?: string;
  readonly count?: number;
}

const DESCRIPTION =
  "Prints the data of each event of a hub: m2push, or any other Mercure hub. It reconnects from the last event on, and reports lost events on " +
  "standard error. With --exec it runs a command for each event, in order, with the data on standard input, and the variables M2PUSH_ID, " +
  "M2PUSH_TYPE and M2PUSH_TOPIC (the topics of the subscription). While a command runs or the output is full, nothing is read from the hub. " +
  "SIGINT or SIGTERM ends it, as the status 204 of a hub does; 401 and 403 are errors.";

/** Every topic, in Mercure 0.x. */
const ALL_TOPICS = "*";
const STATE_OPTIONS = ["latest", "last", "since"];

export function addSubscribe(program: Command, io: Io = processIo): void {
  const command = program.command("subscribe").summary("print events, or run a command for each");
  command.description(DESCRIPTION);
  command.argument(
    "[url]",
    "URL of the hub, with parameters of its own if needed (default: [hub] origin and path of the configuration)",
    readUrl,
  );
  for (const option of [...subscriptionOptions(), ...outputOptions()]) command.addOption(option);
  addFileOption(command).action((url: URL | undefined, options: SubscribeOptions) =>
    subscribe(command, url, options, io),
  );
}

function subscriptionOptions(): Option[] {
  const start = (option: Option) => option.conflicts(STATE_OPTIONS.filter((name) => name !== option.attributeName()));
  return [
    new Option(
      "-t, --topic <topic>",
      "topic or URI template; repeat the option for further topics (default: every topic)",
    ).argParser((topic, all: string[] = []) => [...all, topic]),
    start(new Option("--latest", "m2push: begin with the newest event of each topic")),
    start(new Option("--last <count>", "m2push: begin with this many of the newest events").argParser(readCount)),
    start(
      new Option(
        "--since <time>",
        'm2push: begin with the events since a time (RFC 3339), or since a duration ago, such as "10m"',
      ).argParser(readSince),
    ),
    new Option(
      "--last-event-id <id>",
      "continue after this event; earliest: with everything that the hub has",
    ).argParser(readEventId),
    ...tokenOptions(),
  ];
}

function outputOptions(): Option[] {
  return [
    new Option("--json", "print each event as a line of JSON: id, type, data"),
    new Option("--exec <command>", "run this command (sh -c) for each event instead of printing it").conflicts("json"),
    new Option("--count <count>", "end after this many events").argParser(readCount),
  ];
}

async function subscribe(command: Command, given: URL | undefined, options: SubscribeOptions, io: Io): Promise<void> {
  const stop = new AbortController();
  const { url, topics } = targetOf(command, given, options, io);
  const report = (text: string) => void io.stderr.write(`m2push: ${printableLine(text)}\n`);
  const handle = handlerOf(topics, options, { io, report, signal: stop.signal });
  const end = () => stop.abort();
  process.once("SIGINT", end);
  process.once("SIGTERM", end);
  try {
    const { lastEventId = "" } = options;
    const { clock } = io;
    const token = () => tokenFrom(options, io);
    const target = { url, token, lastEventId, signal: stop.signal, clock, random: Math.random };
    await follow(target, observerOf(handle, options, report));
  } finally {
    process.off("SIGINT", end);
    process.off("SIGTERM", end);
    stop.abort();
  }
}

function observerOf(
  handle: HandleEvent,
  { count = Infinity }: SubscribeOptions,
  report: (text: string) => void,
): FollowObserver {
  let handled = 0;
  return {
    async event(event) {
      await handle(event);
      return ++handled >= count ? "stop" : undefined;
    },
    gap: (data) => report(`gap: events are lost: ${data}`),
    lost: (reason, delayMs) => report(`${reason}; connecting again in ${secondsText(delayMs)}`),
  };
}

/** The address to ask, and the topics in it. */
function targetOf(
  command: Command,
  given: URL | undefined,
  { topic, latest, last, since }: SubscribeOptions,
  io: Io,
): { readonly url: URL; readonly topics: readonly string[] } {
  const { url, parameter, hasOwnTopics } = hubTarget(given, () => loadFor(command, io).config);
  const { searchParams } = url;
  for (const name of topic ?? (hasOwnTopics ? [] : [ALL_TOPICS])) searchParams.append(parameter, name);
  if (latest) searchParams.set("latest", "1");
  if (last !== undefined) searchParams.set("last", String(last));
  if (since !== undefined) searchParams.set("since", since);
  // Other hubs ignore it. m2push sends heartbeats that show a stalled stream.
  searchParams.set("heartbeat", "event");
  return { url, topics: topic ?? searchParams.getAll(parameter) };
}

function handlerOf(
  topics: readonly string[],
  { json, exec }: SubscribeOptions,
  { io, report, signal }: { readonly io: Io; readonly report: (text: string) => void; readonly signal: AbortSignal },
): HandleEvent {
  const { cwd, env, stdout } = io;
  if (exec !== undefined) return runCommandFor({ command: exec, topics, cwd, env, failed: report });
  return json ? printJson(stdout, signal) : printData(stdout, signal);
}

function readEventId(text: string): string {
  if (isSendable(text)) return text;
  throw new InvalidArgumentError("Expected an id without control characters.");
}

function readCount(text: string): number {
  if (/^[1-9][0-9]{0,8}$/.test(text)) return Number(text);
  throw new InvalidArgumentError("Expected a whole number above 0.");
}

function readSince(text: string): string {
  if (parseDuration(text) !== undefined || parseTime(text) !== undefined) return text;
  throw new InvalidArgumentError(errorTexts.sinceTime);
}
