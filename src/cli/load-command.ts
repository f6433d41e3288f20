/** `m2push load`: many clients and a publisher for a while, and what they measured: how much does this installation carry? */
import { randomBytes } from "node:crypto";
import { createHistogram, type RecordableHistogram } from "node:perf_hooks";
import { type Command, Option } from "commander";
import { M2pushError } from "../errors.js";
import { errorTexts } from "./error-texts.js";
import { hubTarget, type TokenOptions, tokenFrom, tokenOptions } from "./hub-target.js";
import { type Io, processIo } from "./io.js";
import { type ClientCounts, LoadClients } from "./load/load-clients.js";
import { type PublishCounts, publishAtRate } from "./load/load-publisher.js";
import { asJson, asText, type Latency, type LoadResult } from "./load/load-report.js";
import { descriptorFault, foreignHosts } from "./load/load-target.js";
import { addFileOption, loadFor, readUrl, wholeNumber } from "./options.js";
import { httpPublishTransport, type PublishTransport, zmqPublishTransport } from "./publish-transport.js";

interface LoadOptions extends TokenOptions {
  readonly topic: string;
  readonly clients: number;
  readonly connectRate: number;
  readonly events: number;
  readonly duration: number;
  readonly bytes: number;
  readonly zmq?: string;
  readonly publishUrl?: URL;
  readonly publishToken?: string;
  readonly yes?: true;
  readonly json?: true;
}

const DESCRIPTION =
  "Opens many event streams, publishes at a fixed rate, and prints how many events arrived, how many are missing, how many clients were cut, " +
  "and the latencies from publishing to reading; then what limits this installation. Events go to a topic of their own, through ZeroMQ or, " +
  "with --publish-url, over HTTP. With --events 0 it only listens. SIGINT ends it early, with the report. A target that is not this machine " +
  "needs --yes.";

const MAX_CLIENTS = 60_000;
const MAX_RATE_COUNT = 100_000;
const MAX_DURATION_SECONDS = 3600;
const MAX_EVENT_BYTES = 100_000;
/** Of the marker in an event's data. */
const MIN_EVENT_BYTES = 64;
/** For the acknowledgement of one event. */
const PUBLISH_TIMEOUT_MS = 10_000;
/** After publishing, the end comes when this long nothing has arrived. */
const QUIET_MS = 2000;
const LOOK_INTERVAL_MS = 20;
const US_PER_MS = 1000;
const MS_PER_SECOND = 1000;

export function addLoad(program: Command, io: Io = processIo): void {
  const command = program.command("load").summary("measure how many clients and events an installation carries");
  command.description(DESCRIPTION);
  command.argument("[url]", "URL of the streams (default: [hub] origin and path of the configuration)", readUrl);
  for (const option of loadOptions()) command.addOption(option);
  addFileOption(command).action((url: URL | undefined, options: LoadOptions) => load(command, url, options, io));
}

function loadOptions(): Option[] {
  return [
    new Option("-n, --clients <count>", "clients").argParser(wholeNumber(1, MAX_CLIENTS)).default(100),
    new Option("--connect-rate <count>", "connects per second").argParser(wholeNumber(1, MAX_RATE_COUNT)).default(500),
    new Option("--events <count>", "events to publish per second; 0: only listen")
      .argParser(wholeNumber(0, MAX_RATE_COUNT))
      .default(10),
    new Option("--duration <seconds>", "seconds to publish or to listen")
      .argParser(wholeNumber(1, MAX_DURATION_SECONDS))
      .default(10),
    new Option("--bytes <count>", "data of one event")
      .argParser(wholeNumber(MIN_EVENT_BYTES, MAX_EVENT_BYTES))
      .default(100),
    new Option("-t, --topic <topic>", "topic of the events").default("m2push-load"),
    ...tokenOptions(),
    new Option("--zmq <address>", "ZeroMQ address to publish to (default: [publish] zmq)"),
    new Option("--publish-url <url>", "URL of a hub to publish to over HTTP").argParser(readUrl).conflicts("zmq"),
    new Option("--publish-token <jwt>", "access token for --publish-url").conflicts("zmq"),
    new Option("--yes", "load other machines: the installation is mine"),
    new Option("--json", "print the result as JSON"),
  ];
}

async function load(command: Command, given: URL | undefined, options: LoadOptions, io: Io): Promise<void> {
  const { url, parameter, hasOwnTopics } = hubTarget(given, () => loadFor(command, io).config);
  if (!hasOwnTopics) url.searchParams.append(parameter, options.topic);
  const zmq = options.publishUrl || options.events === 0 ? undefined : (options.zmq ?? configuredZmq(command, io));
  await checkTarget(command, url, zmq, options);
  const stop = new AbortController();
  const end = () => stop.abort();
  process.once("SIGINT", end);
  process.once("SIGTERM", end);
  try {
    const result = await new LoadRun({ url, zmq, options, io, signal: stop.signal }).run();
    io.stdout.write(options.json ? `${asJson(result)}\n` : asText(result));
    const { opened, firstFailure } = result.counts;
    if (opened === 0)
      throw new M2pushError("link_failed", `no client was served: ${firstFailure || "it was ended early"}`);
  } finally {
    process.off("SIGINT", end);
    process.off("SIGTERM", end);
  }
}

function configuredZmq(command: Command, io: Io): string {
  const { zmq } = loadFor(command, io).config.publish;
  return zmq === ""
    ? command.error(errorTexts.loadZmqOff)
    : zmq.replace(/^tcp:\/\/(?:\*|0\.0\.0\.0):/, "tcp://127.0.0.1:");
}

async function checkTarget(command: Command, url: URL, zmq: string | undefined, options: LoadOptions): Promise<void> {
  const fault = descriptorFault(options.clients);
  if (fault !== undefined) command.error(fault);
  if (options.yes) return;
  const addresses = [url.href, zmq, options.publishUrl?.href].flatMap((address) => address ?? []);
  const foreign = await foreignHosts(addresses);
  if (foreign.length > 0) command.error(errorTexts.loadForeign(foreign.join(" and "), options.clients, options.events));
}

interface LoadPlan {
  readonly url: URL;
  /** Undefined = it does not publish through ZeroMQ. */
  readonly zmq: string | undefined;
  readonly options: LoadOptions;
  readonly io: Io;
  readonly signal: AbortSignal;
}

class LoadRun {
  readonly #plan: LoadPlan;
  readonly #run = randomBytes(4).toString("hex");
  /** Microseconds. */
  readonly #latencies: RecordableHistogram = createHistogram({ figures: 3 });
  readonly #clients: LoadClients;

  constructor(plan: LoadPlan) {
    this.#plan = plan;
    const { url, options, io, signal } = plan;
    const { clock } = io;
    this.#clients = new LoadClients({
      ...{
        url,
        count: options.clients,
        rate: options.connectRate,
        token: tokenFrom(options, io),
        run: this.#run,
        signal,
        clock,
      },
      received: (sentAt) => this.#latencies.record(Math.max(1, Math.round(clock.monotonic() * US_PER_MS - sentAt))),
    });
  }

  async run(): Promise<LoadResult> {
    const { options, io } = this.#plan;
    const { clock } = io;
    const began = clock.monotonic();
    try {
      this.#note(`opening ${options.clients} streams, ${options.connectRate} a second`);
      await this.#clients.openAll();
      const opened = clock.monotonic();
      const cpu = process.cpuUsage();
      const published = await this.#measure();
      const seconds = (clock.monotonic() - opened) / MS_PER_SECOND;
      const { user, system } = process.cpuUsage(cpu);
      return {
        ...{
          clients: options.clients,
          wantedEventsPerSecond: options.events,
          connectSeconds: (opened - began) / MS_PER_SECOND,
        },
        ...{ counts: this.#counts, published, seconds, latencyMs: latencyOf(this.#latencies) },
        cpuShare: (user + system) / US_PER_MS / MS_PER_SECOND / seconds,
      };
    } finally {
      this.#clients.close();
    }
  }

  get #counts(): ClientCounts {
    return { ...this.#clients.counts };
  }

  /** Progress, for a terminal. */
  #note(text: string): void {
    this.#plan.io.stderr.write(`${text}\n`);
  }

  /** Undefined = it only listened. */
  async #measure(): Promise<PublishCounts | undefined> {
    const { options, signal, io } = this.#plan;
    if (this.#clients.counts.opened === 0) return undefined;
    if (options.events === 0) {
      this.#note(`listening for ${options.duration} s`);
      await this.#until(() => false, options.duration * MS_PER_SECOND);
      return undefined;
    }
    this.#note(`publishing ${options.events} events a second for ${options.duration} s`);
    const transport = await this.#transport();
    const { topic, events: rate, duration: seconds, bytes } = options;
    const { clock } = io;
    try {
      const plan = { transport, topic, run: this.#run, rate, seconds, bytes, signal, clock };
      const published = await publishAtRate(plan);
      const expected = published.acknowledged * this.#clients.counts.opened;
      await this.#untilQuiet(() => this.#clients.counts.delivered >= expected);
      return published;
    } finally {
      await transport.close();
    }
  }

  async #transport(): Promise<PublishTransport> {
    const { zmq, options, io } = this.#plan;
    const { clock } = io;
    if (zmq !== undefined) return zmqPublishTransport(zmq, PUBLISH_TIMEOUT_MS, clock);
    const { publishUrl: url, publishToken: token } = options;
    return httpPublishTransport({ url: url as URL, token, timeoutMs: PUBLISH_TIMEOUT_MS, clock });
  }

  /** Resolves when it is done, or nothing has arrived for a while. */
  async #untilQuiet(isDone: () => boolean): Promise<void> {
    for (let before = -1; !isDone() && before !== this.#clients.counts.delivered; ) {
      before = this.#clients.counts.delivered;
      await this.#until(isDone, QUIET_MS);
    }
  }

  async #until(isDone: () => boolean, maxMs: number): Promise<void> {
    const { signal, io } = this.#plan;
    const end = io.clock.monotonic() + maxMs;
    while (!isDone() && !signal.aborted && io.clock.monotonic() < end)
      await new Promise<void>((resolve) => io.clock.after(LOOK_INTERVAL_MS, resolve));
  }
}

function latencyOf(latencies: RecordableHistogram): Latency {
  if (latencies.count === 0) return { p50: null, p90: null, p99: null, max: null };
  const ms = (us: number) => us / US_PER_MS;
  const at = (percent: number) => ms(latencies.percentile(percent));
  return { p50: at(50), p90: at(90), p99: at(99), max: ms(latencies.max) };
}
