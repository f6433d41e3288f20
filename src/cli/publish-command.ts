/** `m2push publish`: publishes one event, or one for each line of standard input. */

import { type Command, InvalidArgumentError, Option } from "commander";
import { isEndpoint } from "../config/endpoint-types.js";
import { messageOf } from "../errors.js";
import { checkDraft, type Draft } from "../protocol/publication.js";
import { readTtl } from "../protocol/ttl.js";
import { escapeUnprintable } from "../util/escape.js";
import { errorTexts } from "./error-texts.js";
import { type Io, processIo } from "./io.js";
import { addFileOption, loadFor, readUrl } from "./options.js";
import { publishLines } from "./publish-lines.js";
import { httpPublishTransport, type PublishTransport, zmqPublishTransport } from "./publish-transport.js";

interface PublishOptions {
  readonly topic?: [string, ...string[]];
  readonly id?: string;
  readonly type?: string;
  readonly retry?: number;
  readonly key?: string;
  readonly private?: true;
  readonly ttl?: number;
  readonly final?: true;
  readonly url?: URL;
  readonly zmq?: string;
  readonly token?: string;
  readonly timeout: number;
}

/** For the connection and for the acknowledgement of one event. */
const DEFAULT_TIMEOUT_SECONDS = 10;
const MS_PER_SECOND = 1000;

/** The topic of an event that names none, as of a complete EventSource block. */
const DEFAULT_TOPIC = "message";

export function addPublish(program: Command, io: Io = processIo): void {
  const command = program.command("publish").summary("publish an event").description(DESCRIPTION);
  command.argument("[data]", 'data of the event; "-": one event for each line of standard input');
  for (const option of eventOptions()) command.addOption(option);
  command.addOption(
    new Option("--zmq <address>", "ZeroMQ address to publish to (default: [publish] zmq)").argParser(readSpec),
  );
  command.addOption(
    new Option("--url <url>", "URL of a hub to publish to over HTTP, instead of ZeroMQ")
      .argParser(readUrl)
      .conflicts("zmq"),
  );
  command.addOption(new Option("--token <jwt>", "access token for --url").conflicts("zmq"));
  command.addOption(
    new Option("--timeout <seconds>", "how long to wait for the acknowledgement of an event")
      .argParser(readSeconds)
      .default(DEFAULT_TIMEOUT_SECONDS),
  );
  addFileOption(command).action((data: string | undefined, options: PublishOptions) =>
    // Without an argument, `... | m2push publish` would publish an empty event and ignore standard input.
    publish(command, data ?? command.error(errorTexts.noData), options, io),
  );
}

const DESCRIPTION =
  "Publishes an event and prints its id once the daemon has stored it; fails if the daemon does not acknowledge it in time. Without --url " +
  "the event is sent through ZeroMQ. With - the command stops at the first line that is not published, and names it.";

function eventOptions(): Option[] {
  return [
    new Option(
      "-t, --topic <topic>",
      `topic; repeat the option for further topics (default: ${DEFAULT_TOPIC})`,
    ).argParser((topic, all: string[] = []) => [...all, topic]),
    new Option("--id <id>", "id of the event (default: the daemon assigns one)"),
    new Option("--type <type>", "type of the event (default: message)"),
    new Option("--retry <ms>", "reconnection delay for browsers, in milliseconds").argParser(readMilliseconds),
    new Option(
      "--key <key>",
      "idempotency key: until --timeout the event is sent again when its acknowledgement was lost, and published once; with -, line N has the key <key>:N",
    ).argParser(readKey),
    new Option("--private", "send only to subscribers whose token grants the topic"),
    new Option("--ttl <duration>", 'seconds, or a duration such as "10m", after which nobody gets the event').argParser(
      readTtlOption,
    ),
    new Option("--final", "end the topic until it is published to again: streams of this topic alone are closed"),
  ];
}

/** Checks everything that can be checked in advance, then opens the transport, publishes, and closes it. */
async function publish(command: Command, data: string, options: PublishOptions, io: Io): Promise<void> {
  const many = data === "-";
  if (many && options.id !== undefined) command.error(errorTexts.idOfMany);
  if (options.token !== undefined && options.url === undefined) command.error(errorTexts.tokenWithoutUrl);
  if (!many) rejectInvalidDraft(command, draftOf(data, options));
  const transport = await openTransport(command, options, io);
  const print = (id: string) => void io.stdout.write(`${escapeUnprintable(id)}\n`);
  try {
    const parse = (line: string, number: number) => checked(draftOf(line, keyOfLine(options, number)));
    if (many) await publishLines(io.stdin, { ...transport, parse, print });
    else print(await transport.publish(draftOf(data, options)));
  } finally {
    await transport.close();
  }
}

function checked(draft: Draft): Draft {
  checkDraft(draft);
  return draft;
}

/** Rejects an event that the daemon would drop, as wrong usage. */
function rejectInvalidDraft(command: Command, draft: Draft): void {
  try {
    checkDraft(draft);
  } catch (error) {
    command.error(messageOf(error));
  }
}

/** The same line of a second run has the same key: lines that the first run has published are not published again. */
const keyOfLine = (options: PublishOptions, line: number): PublishOptions =>
  options.key === undefined ? options : { ...options, key: `${options.key}:${line}` };

function draftOf(data: string, options: PublishOptions): Draft {
  const { topic = [DEFAULT_TOPIC], id, type, retry, key, ttl, final } = options;
  return {
    topics: topic,
    data,
    private: options.private === true,
    ...(id !== undefined && { id }),
    ...(type !== undefined && { type }),
    ...(retry !== undefined && { retry }),
    ...(key !== undefined && { key }),
    ...(ttl !== undefined && { ttlMs: ttl }),
    ...(final && { final }),
  };
}

async function openTransport(command: Command, options: PublishOptions, io: Io): Promise<PublishTransport> {
  const timeoutMs = options.timeout * MS_PER_SECOND;
  const { url, token } = options;
  if (url !== undefined) return httpPublishTransport({ url, token, timeoutMs, clock: io.clock });
  return zmqPublishTransport(connectable(options.zmq ?? configuredSpec(command, io)), timeoutMs, io.clock);
}

function configuredSpec(command: Command, io: Io): string {
  const { zmq } = loadFor(command, io).config.publish;
  return zmq === "" ? command.error(errorTexts.zmqOff) : zmq;
}

/** Replaces an address that the daemon binds on all interfaces by one to connect to. */
const connectable = (spec: string): string => spec.replace(/^tcp:\/\/(?:\*|0\.0\.0\.0):/, "tcp://127.0.0.1:");

function readSpec(text: string): string {
  if (isEndpoint(text)) return text;
  throw new InvalidArgumentError('Expected an address such as "tcp://127.0.0.1:9997" or "ipc://run/publish".');
}

function readSeconds(text: string): number {
  if (/^[0-9]{1,6}(?:\.[0-9]{1,3})?$/.test(text) && Number(text) > 0) return Number(text);
  throw new InvalidArgumentError("Expected a number of seconds above 0.");
}

/** HTTP headers carry visible ASCII; the number of a line needs characters of the limit of 255, too. */
function readKey(text: string): string {
  if (/^[\x21-\x7e]{1,240}$/.test(text)) return text;
  throw new InvalidArgumentError("Expected 1 to 240 visible ASCII characters.");
}

function readTtlOption(text: string): number {
  try {
    return readTtl(text);
  } catch (error) {
    throw new InvalidArgumentError(`${messageOf(error)}.`);
  }
}

function readMilliseconds(text: string): number {
  if (/^[0-9]{1,9}$/.test(text)) return Number(text);
  throw new InvalidArgumentError("Expected a whole number of milliseconds.");
}
