/** `m2push publish`: publishes one event, or one for each line of standard input. */
import { type Command, InvalidArgumentError, Option } from "commander";
import { isEndpoint } from "../config/endpoint-types.js";
import { checkDraft, type Draft } from "../protocol/publication.js";
import { escapeUnprintable } from "../util/escape.js";
import { type Io, processIo } from "./io.js";
import { addFileOption, loadFor } from "./options.js";
import { httpPublishTransport, type PublishTransport, zmqPublishTransport } from "./publish-transport.js";
import { linesOf } from "./read-lines.js";

interface PublishOptions {
  readonly topic?: [string, ...string[]];
  readonly id?: string;
  readonly type?: string;
  readonly retry?: number;
  readonly private?: true;
  readonly url?: URL;
  readonly zmq?: string;
  readonly token?: string;
}

/** Where an event without a topic goes, as one that comes as a ready EventSource block. */
const DEFAULT_TOPIC = "message";

export function addPublish(program: Command, io: Io = processIo): void {
  const command = program.command("publish").summary("publish an event").description(DESCRIPTION);
  command.argument("[data]", 'the event\'s data; "-": one event for each line of standard input');
  for (const option of eventOptions()) command.addOption(option);
  command.addOption(new Option("--zmq <spec>", "PUSH to this address (default: [publish] zmq)").argParser(readSpec));
  command.addOption(new Option("--url <url>", "POST to this hub instead").argParser(readUrl).conflicts("zmq"));
  command.addOption(new Option("--token <jwt>", "the publisher's token").conflicts("zmq"));
  addFileOption(command).action((data: string | undefined, options: PublishOptions) =>
    publish(command, data ?? command.error(NO_DATA), options, io),
  );
}

/** `... | m2push publish` would publish an empty event, and drop what was piped in. */
const NO_DATA =
  'no data; fix: give it as an argument ("" for an empty event), or - to read standard input, one event a line';

const DESCRIPTION =
  "Publishes an event. Through ZeroMQ nothing is acknowledged and nothing printed; " +
  "through HTTP the id that the hub gave is printed.";

function eventOptions(): Option[] {
  return [
    new Option("-t, --topic <topic>", `the topic; repeat it for alternates (default: ${DEFAULT_TOPIC})`).argParser(
      (topic, all: string[] = []) => [...all, topic],
    ),
    new Option("--id <id>", "the event's id (default: the daemon gives one)"),
    new Option("--type <type>", "the event's type (default: message)"),
    new Option("--retry <ms>", "tells browsers to wait this long before they reconnect").argParser(readMilliseconds),
    new Option("--private", "only for subscribers whose token allows the topic"),
  ];
}

/** The steps: check everything that can be checked beforehand, then open the door, publish, close the door. */
async function publish(command: Command, data: string, options: PublishOptions, io: Io): Promise<void> {
  const many = data === "-";
  if (many && options.id !== undefined) command.error("--id names one event, and - reads many");
  if (options.token !== undefined && options.url === undefined) command.error("--token needs --url");
  if (!many) refuseBadDraft(command, draftOf(data, options));
  const door = openDoor(command, options, io);
  try {
    for await (const line of many ? linesOf(io.stdin) : [data]) await publishOne(door, draftOf(line, options), io);
  } finally {
    await door.close();
  }
}

async function publishOne(door: PublishTransport, draft: Draft, io: Io): Promise<void> {
  checkDraft(draft);
  const id = await door.publish(draft);
  if (id !== undefined) io.stdout.write(`${escapeUnprintable(id)}\n`);
}

/** What the daemon would only drop and log is refused here, as a fault of the arguments. */
function refuseBadDraft(command: Command, draft: Draft): void {
  try {
    checkDraft(draft);
  } catch (error) {
    command.error(error instanceof Error ? error.message : String(error));
  }
}

function draftOf(data: string, options: PublishOptions): Draft {
  const { topic = [DEFAULT_TOPIC], id, type, retry } = options;
  return {
    topics: topic,
    data,
    private: options.private === true,
    ...(id !== undefined && { id }),
    ...(type !== undefined && { type }),
    ...(retry !== undefined && { retry }),
  };
}

function openDoor(command: Command, options: PublishOptions, io: Io): PublishTransport {
  if (options.url !== undefined) return httpPublishTransport(options.url, options.token);
  return zmqPublishTransport(connectable(options.zmq ?? configuredSpec(command, io)), io.clock);
}

function configuredSpec(command: Command, io: Io): string {
  const { zmq } = loadFor(command, io).config.publish;
  return zmq === "" ? command.error("[publish] zmq is off: give --zmq SPEC or --url URL") : zmq;
}

/** An address that the daemon binds on all interfaces is reached on this machine. */
const connectable = (spec: string): string => spec.replace(/^tcp:\/\/(?:\*|0\.0\.0\.0):/, "tcp://127.0.0.1:");

function readSpec(text: string): string {
  if (isEndpoint(text)) return text;
  throw new InvalidArgumentError('Expected an address such as "tcp://127.0.0.1:9997" or "ipc://run/publish".');
}

function readUrl(text: string): URL {
  if (/^https?:/.test(text) && URL.canParse(text)) return new URL(text);
  throw new InvalidArgumentError('Expected a URL such as "http://localhost:6767/.well-known/mercure".');
}

function readMilliseconds(text: string): number {
  if (/^[0-9]{1,9}$/.test(text)) return Number(text);
  throw new InvalidArgumentError("Expected a whole number of milliseconds.");
}
