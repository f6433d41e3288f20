/** `m2push history`: exports stored events as lines of JSON (protocol/archive.ts), imports them into another store, and removes some. */
import { createReadStream, createWriteStream } from "node:fs";
import { resolve } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { Argument, type Command, Option } from "commander";
import type { Config } from "../config/schema.js";
import { M2pushError } from "../errors.js";
import { ARCHIVE_END, encodeEntry, encodeHeader, type HistoryExport } from "../protocol/archive.js";
import { readArchive } from "../protocol/archive-reader.js";
import type { HistoryArchive } from "../storage/history-archive.js";
import type { Clock } from "../util/clock.js";
import { printableLine } from "../util/escape.js";
import { errorTexts } from "./error-texts.js";
import { type PurgeOptions, purge, purgeTarget } from "./history-purge.js";
import { type Io, processIo } from "./io.js";
import { addConfigOptions, loadFor, readUrl } from "./options.js";

const DESCRIPTION =
  "export writes the stored events as lines of JSON, the oldest first; import creates a new history from them; purge removes events. The history is the " +
  "JetStream stream of [cluster] if that is configured, otherwise the data folder ([history] path), which no daemon may be using. " +
  "Event ids are kept, so browsers that reconnect with one receive the events after it. purge with --url asks a daemon that runs. backup copies " +
  "the data folder's history into a new folder, while the daemon runs or not, and verifies the copy; restore puts it into a data folder without " +
  "events, which no daemon may be using.";
const ACTIONS = ["export", "import", "purge", "backup", "restore"];

export function addHistory(program: Command, io: Io = processIo): void {
  const command = program
    .command("history")
    .summary("export, import, back up, restore or remove stored events")
    .description(DESCRIPTION);
  command.addArgument(new Argument("<action>", "export, import, purge, backup or restore").choices(ACTIONS));
  command.argument(
    "[path]",
    "import: the file to read (default: standard input); backup, restore: the folder of the backup",
  );
  command.option("-o, --output <file>", "export: the file to write (default: standard output)");
  for (const option of purgeOptions()) command.addOption(option);
  addConfigOptions(command).action((action: string, file: string | undefined, options: HistoryOptions) => {
    checkUsage(command, action, file, options);
    if (action === "purge") return purgeFrom(command, options, io);
    const { config } = loadFor(command, io);
    if (action === "backup" || action === "restore") return copyFolder(action, resolve(io.cwd, file ?? ""), config, io);
    return action === "export" ? exportTo(options.output, config, io) : importFrom(file, config, io);
  });
}

interface HistoryOptions extends PurgeOptions {
  readonly output?: string;
}

function purgeOptions(): Option[] {
  return [
    new Option("--topic <topic>", "purge: the events that have this topic"),
    new Option("--id <id>", "purge: the events with this id"),
    new Option("--before <time>", 'purge: the events before a time (RFC 3339), or older than an age such as "24h"'),
    new Option("--url <url>", "purge: URL of a hub whose daemon runs").argParser(readUrl),
    new Option("--token <jwt>", "purge: access token for --url"),
  ];
}

function checkUsage(command: Command, action: string, file: string | undefined, options: HistoryOptions): void {
  const { output, topic, id, before, url, token } = options;
  if (action === "export" && file !== undefined)
    command.error(`export takes no file argument; fix: use --output ${file}`);
  if ((action === "backup" || action === "restore") && file === undefined)
    command.error(errorTexts.backupFolder(action));
  if (action === "purge" && file !== undefined) command.error("purge takes no file argument");
  if (action !== "export" && output !== undefined)
    command.error("--output is an option of export; fix: name the file to import as an argument");
  const isPurge = [topic, id, before, url, token].some((it) => it !== undefined);
  if (action !== "purge" && isPurge) command.error(errorTexts.purgeOptions);
}

async function purgeFrom(command: Command, options: HistoryOptions, io: Io): Promise<void> {
  const target = purgeTarget(options, io.clock.now());
  if (typeof target === "string") command.error(target);
  if (options.token !== undefined && options.url === undefined) command.error(errorTexts.purgeToken);
  const { config } = loadFor(command, io);
  if (options.url === undefined && !isCluster(config)) requireStored(config);
  const count = await purge(target, options, config, io.clock);
  io.stdout.write(`${events(count)} removed\n`);
}

async function exportTo(file: string | undefined, config: Config, io: Io): Promise<void> {
  const archive = await openSource(config, io.clock);
  let count = 0;
  async function* archiveLines() {
    yield encodeHeader(archive.header);
    for await (const publication of archive.publications) {
      yield encodeEntry(publication);
      count++;
    }
    yield ARCHIVE_END;
  }
  try {
    // The export contains private events.
    const target = file === undefined ? io.stdout : createWriteStream(resolve(io.cwd, file), { mode: 0o600 });
    await pipeline(Readable.from(joined(archiveLines())), target, { end: file !== undefined });
  } finally {
    await archive.close();
  }
  io.stderr.write(`${events(count)} exported\n`);
  if (archive.damage !== undefined)
    throw new M2pushError("storage_unusable", errorTexts.incompleteExport(archive.damage));
}

/** Joins lines: one write for each line would cost more than everything else. */
async function* joined(lines: AsyncIterable<string>): AsyncGenerator<string> {
  let piece = "";
  for await (const line of lines) {
    piece += line;
    if (piece.length < 65_536) continue;
    yield piece;
    piece = "";
  }
  yield piece;
}

async function importFrom(file: string | undefined, config: Config, io: Io): Promise<void> {
  const input = file === undefined ? io.stdin : createReadStream(resolve(io.cwd, file));
  try {
    const result = await fillTarget(await readArchive(input), config, io.clock);
    io.stdout.write(`${result}\n`);
  } finally {
    // After a failure, a pipe that the writer keeps open must not keep this process alive.
    input.destroy();
  }
}

/** Prints what the backup holds, on standard output. */
async function copyFolder(action: "backup" | "restore", folder: string, config: Config, io: Io): Promise<void> {
  if (isCluster(config)) throw new M2pushError("unsupported", errorTexts.backupCluster);
  requireStored(config);
  const { backupHistory, restoreBackup } = await import("../storage/history-backup.js");
  const { path } = config.history;
  const isBackup = action === "backup";
  const summary = isBackup ? await backupHistory(path, folder, io.clock) : await restoreBackup(folder, path, io.clock);
  const what = isBackup ? `backed up to ${folder}` : `restored to ${path}`;
  io.stdout.write(`${printableLine(`${events(summary.events)} of epoch ${summary.epoch} ${what}`)}\n`);
  if (summary.damage !== undefined) throw new M2pushError("storage_unusable", errorTexts.damagedBackup(summary.damage));
}

const isCluster = ({ cluster }: Config): boolean => cluster.nats.length > 0;

async function openSource(config: Config, clock: Clock): Promise<HistoryArchive> {
  if (isCluster(config)) {
    const { openStreamArchive } = await import("../cluster/stream-archive.js");
    return openStreamArchive(config, clock);
  }
  requireStored(config);
  const { openHistoryArchive } = await import("../storage/history-archive.js");
  return openHistoryArchive(config.history.path, clock);
}

/** Resolves with a summary of the import. */
async function fillTarget(archive: HistoryExport, config: Config, clock: Clock): Promise<string> {
  if (isCluster(config)) {
    const { newEpoch } = await import("../storage/memory/memory-history.js");
    const { fillStream } = await import("../cluster/stream-archive.js");
    const { imported, before, held, keptCount } = await fillStream(archive, config, clock, newEpoch);
    const leftOut = keptCount > 0 ? `; ${errorTexts.keptLeftOut(events(keptCount))}` : "";
    const earlier = before > 0 ? `; ${before} had already been imported` : "";
    return `${events(imported)} imported${earlier}${limits(held, imported + before)}${leftOut}`;
  }
  requireStored(config);
  const { restore } = await import("../storage/history-archive.js");
  const { path, max_events: maxEvents, max_age: maxAge, max_bytes: maxBytes } = config.history;
  const { imported, held } = await restore(archive, { path, maxEvents, maxAge, maxBytes }, clock);
  return `${events(imported)} imported${limits(held, imported)}`;
}

const limits = (held: number, all: number): string =>
  held < all ? `; the limits of [history] keep the newest ${held}` : "";

function requireStored({ history }: Config): void {
  if (history.store === "lmdb") return;
  throw new M2pushError("storage_unusable", errorTexts.nothingStored);
}

const events = (count: number): string => `${count} event${count === 1 ? "" : "s"}`;
