/** `m2push status`: prints the status of a running daemon, from its admin server; once, or each second. */
import type { Command } from "commander";
import { M2pushError } from "../errors.js";
import type { NodeSnapshot } from "../hub/node-state.js";
import { adminUrl, fetchStatus } from "../observability/admin/fetch-status.js";
import type { ServerStatus, Status } from "../observability/admin/status.js";
import { blocksReadiness } from "../util/conditions.js";
import { escapeJson, escapeUnprintable, printableLine } from "../util/escape.js";
import { type Io, processIo } from "./io.js";
import { addConfigOptions, loadFor } from "./options.js";

const REFRESH_INTERVAL_MS = 1000;
/** For a terminal that does not report its width. */
const DEFAULT_TERMINAL_COLUMNS = 80;

interface StatusOptions {
  readonly json?: true;
  readonly watch?: true;
}

/** Formats one status; `now` is milliseconds since 1970. */
type View = (status: Status, now: number) => string;

export function addStatus(program: Command, io: Io = processIo): void {
  const command = program.command("status").summary("show the status of a running daemon");
  command.description(
    "Shows servers, clients, rates and delays of a running daemon, from its admin server ([admin] listen). Rates are averages over " +
      "the last 5 seconds. Exit code 1 when the daemon does not answer.",
  );
  command.option("--json", "print JSON, one object a line");
  command.option("--watch", "repeat each second: redraws a terminal, prints one line each time to a pipe");
  addConfigOptions(command).action((options: StatusOptions) => show(command, options, io));
}

async function show(command: Command, { json, watch: again }: StatusOptions, io: Io): Promise<void> {
  const { listen } = loadFor(command, io).config.admin;
  if (listen === "") command.error('[admin] listen is "": the daemon has no admin server; fix: set [admin] listen');
  if (listen.endsWith(":0"))
    command.error("[admin] listen has port 0: only the daemon's log contains the port; fix: set a fixed port");
  const url = adminUrl(listen);
  const first = await fetchStatus(url);
  if (!again) io.stdout.write((json ? asJson : asTable)(first, io.clock.now()));
  else await watch(first, url, json ? asJson : undefined, io);
}

/** Repeats until the output is closed. While the daemon does not answer, as during an upgrade, it reports that and continues. */
async function watch(first: Status, url: string, given: View | undefined, io: Io): Promise<void> {
  const columns = terminalColumns(io.stdout);
  const view = given ?? (columns === undefined ? asLine : asTable);
  const redrawn = given === undefined && columns !== undefined;
  const write = (text: string) => io.stdout.write(redrawn ? screen(text, columns) : text);
  if (redrawn) io.stdout.write(CLEAR);
  write(view(first, io.clock.now()));
  for (await pause(io); io.stdout.writable; await pause(io)) {
    try {
      write(view(await fetchStatus(url), io.clock.now()));
    } catch (error) {
      if (!(error instanceof M2pushError)) throw error;
      const why = printableLine(error.message);
      if (given) io.stderr.write(`${why}\n`);
      else write(`${new Date(io.clock.now()).toISOString()} ${why}\n`);
    }
  }
}

const pause = ({ clock }: Io): Promise<void> => new Promise((resolve) => clock.after(REFRESH_INTERVAL_MS, resolve));

function terminalColumns(stream: NodeJS.WritableStream): number | undefined {
  const { isTTY, columns } = stream as Partial<NodeJS.WriteStream>;
  return isTTY ? (columns ?? DEFAULT_TERMINAL_COLUMNS) : undefined;
}

// ECMA-48: ED 2 clears the screen, CUP moves to its start, EL clears to the end of a line, ED to the end of the screen.
const CLEAR = "\x1b[2J";
const HOME = "\x1b[H";

/** Overwrites the previous screen without flicker; lines that would wrap are cut. */
function screen(text: string, columns: number): string {
  const lines = text.split("\n").map((line) => `${line.slice(0, columns)}\x1b[K`);
  return `${HOME}${lines.join("\r\n")}\x1b[J`;
}

const asJson: View = (status) => `${escapeJson(JSON.stringify(status))}\n`;

/** For a pipe: name=value pairs. */
const asLine: View = (status, now) => {
  const { perSecond, servers, eventLoopLagMs: lagMs } = status;
  const slowest = (of: (server: ServerStatus) => number | null) => Math.max(0, ...servers.map((it) => of(it) ?? 0));
  const live = servers.filter((server) => server.live).length;
  return [
    new Date(now).toISOString(),
    status.ready ? "ready" : "not-ready",
    `servers=${live}/${servers.length}`,
    `clients=${status.clients}`,
    `behind=${status.catchingUp}`,
    `events/s=${perSecond.publications}`,
    `deliveries/s=${perSecond.deliveries}`,
    `connects/s=${perSecond.connects}`,
    `disconnects/s=${perSecond.disconnects}`,
    `bytes/s=${perSecond.bytes}`,
    `fence_ms=${slowest(({ fenceRoundTripMs: fenceMs }) => fenceMs)}`,
    `delay_ms=${slowest(({ publishToFenceMs: latencyMs }) => latencyMs)}`,
    `lag_ms=${lagMs}\n`,
  ].join(" ");
};

/** For a terminal: at most 80 columns wide. */
export const asTable: View = (status) => {
  const { perSecond: rate } = status;
  const lines = [
    `m2push ${status.m2push}  ${status.ready ? "ready" : "NOT READY"}  up ${duration(status.uptimeSeconds)}  pid ${status.pid}`,
    "",
    cells(
      ["clients", number(status.clients)],
      ["catching up", number(status.catchingUp)],
      ["loop lag", `${ms(status.eventLoopLagMs)} ms`],
    ),
    cells(
      ["events/s", number(rate.publications)],
      ["deliveries/s", number(rate.deliveries)],
      ["sent/s", bytes(rate.bytes)],
    ),
    cells(
      ["connects/s", number(rate.connects)],
      ["disconnects/s", number(rate.disconnects)],
      ["frames/s", number(rate.frames)],
    ),
    "",
    row("SERVER", "STATE", "CLIENTS", "BEHIND", "QUEUED", "DELIVER/S", "FENCE ms", "DELAY ms"),
    ...status.servers.map(serverRow),
    "",
    historyLine(status),
    ...nodeLines(status),
    ...status.notReadyReasons.map((problem) => `! ${problem}`),
    ...minorConditions(status),
  ];
  return `${lines.map(printableCells).join("\n")}\n`;
};

/** Names and texts of the daemon may contain text that clients sent: characters that a terminal interprets are escaped. */
const printableCells = (line: string): string => escapeUnprintable(line.replaceAll("\n", " "));

function serverRow(server: ServerStatus): string {
  const {
    name,
    live,
    silent,
    clients,
    catchingUp: behind,
    queuedBodies: waiting,
    deliveriesPerSecond,
    fenceRoundTripMs: fenceMs,
    publishToFenceMs: latencyMs,
  } = server;
  const state = live ? (silent ? "SILENT" : "live") : "DOWN";
  const counts = [clients, behind, waiting, deliveriesPerSecond].map(number);
  return row(name, state, ...counts, ms(fenceMs), ms(latencyMs));
}

const NAME_COLUMNS = 16;
/** Widths of the columns after the name; 79 columns in all, with the spaces between. */
const VALUE_COLUMNS = [7, 9, 7, 7, 10, 8, 8];

function row(name: string, ...rest: readonly string[]): string {
  const first = name.length > NAME_COLUMNS ? `${name.slice(0, NAME_COLUMNS - 1)}…` : name.padEnd(NAME_COLUMNS);
  return [first, ...rest.map((cell, at) => cell.padStart(VALUE_COLUMNS[at] ?? 0))].join(" ");
}

const cells = (...pairs: readonly (readonly [string, string])[]): string =>
  pairs.map(([name, value]) => `${name.padEnd(13)} ${value.padStart(10)}`).join("  ");

function historyLine({ history }: Status): string {
  if (!history) return "history       not open";
  const { count, bytes: size, floor, last, epoch } = history;
  return `history       ${number(count)} events, ${bytes(size)}, after ${floor} to ${last}, epoch ${epoch}`;
}

/** Conditions that do not affect readiness. */
function minorConditions({ conditions }: Status): string[] {
  const minor = conditions.filter(({ code }) => !blocksReadiness(code));
  return minor.map(({ subject, message, fix }) => `- ${subject && `${subject}: `}${message}; fix: ${fix}`);
}

function nodeLines({ nodes }: Status): string[] {
  if (!nodes) return [];
  const line = ({ name, self, clients, position, lag, heard }: NodeSnapshot) =>
    nodeRow(name, number(clients), String(position), number(lag), self ? "itself" : `${heard.toFixed(1)} s`);
  return ["", nodeRow("NODE", "CLIENTS", "POSITION", "LAG", "HEARD"), ...nodes.map(line)];
}

const nodeRow = (name: string, ...[clients = "", position = "", lag = "", heard = ""]: string[]): string =>
  `${name.slice(0, 32).padEnd(32)} ${clients.padStart(9)} ${position.padStart(14)} ${lag.padStart(9)} ${heard.padStart(9)}`;

/** With one decimal place below 100. */
const number = (value: number): string => value.toLocaleString("en-US", { maximumFractionDigits: value < 100 ? 1 : 0 });

const ms = (value: number | null): string =>
  value === null ? "-" : value.toFixed(value < 10 ? 2 : value < 1000 ? 1 : 0);

function bytes(value: number): string {
  const at = value < 1000 ? 0 : value < 1e6 ? 1 : value < 1e9 ? 2 : 3;
  return `${number(value / 1000 ** at)} ${["B", "kB", "MB", "GB"][at]}`;
}

/** The two largest units: "3d 4h", "12m 5s". */
function duration(seconds: number): string {
  const whole = Math.floor(seconds);
  const parts = [Math.floor(whole / 86_400), Math.floor(whole / 3600) % 24, Math.floor(whole / 60) % 60, whole % 60];
  const first = parts.findIndex((part) => part > 0);
  const from = first < 0 ? 3 : first;
  return parts
    .map((part, at) => `${part}${"dhms"[at]}`)
    .slice(from, from + 2)
    .join(" ");
}
