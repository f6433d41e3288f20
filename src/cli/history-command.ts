/** `m2push history`: what was published, as lines of JSON (protocol/archive.ts): out of one store, and into another. */
import { createReadStream, createWriteStream } from "node:fs";
import { resolve } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { Argument, type Command } from "commander";
import type { Config } from "../config/schema.js";
import { M2pushError } from "../errors.js";
import { ARCHIVE_END, encodeEntry, encodeHeader, type HistoryExport } from "../protocol/archive.js";
import { readArchive } from "../protocol/archive-reader.js";
import type { HistoryArchive } from "../storage/history-archive.js";
import type { Clock } from "../util/clock.js";
import { type Io, processIo } from "./io.js";
import { addConfigOptions, loadFor } from "./options.js";

const DESCRIPTION =
  "export writes what the configured history holds as lines of JSON, the oldest first; import makes a new history of them. The " +
  "history is the stream of [cluster] where that is configured, the data folder ([history] path) otherwise, which no daemon " +
  "may be using. Ids stay as they are: browsers that come back with one get what came after it.";

export function addHistory(program: Command, io: Io = processIo): void {
  const command = program.command("history").summary("export or import what was published").description(DESCRIPTION);
  command.addArgument(new Argument("<action>", "what to do").choices(["export", "import"]));
  command.argument("[file]", "import: the file to read (default: standard input)");
  command.option("-o, --output <file>", "export: the file to write (default: standard output)");
  addConfigOptions(command).action((action: string, file: string | undefined, { output }: { output?: string }) => {
    if (action === "export" && file !== undefined)
      command.error(`export writes to --output ${file}, or standard output`);
    if (action === "import" && output !== undefined) command.error("--output belongs to export");
    const { config } = loadFor(command, io);
    return action === "export" ? exportTo(output, config, io) : importFrom(file, config, io);
  });
}

async function exportTo(file: string | undefined, config: Config, io: Io): Promise<void> {
  const archive = await openSource(config, io.clock);
  let count = 0;
  async function* lines() {
    yield encodeHeader(archive.lifetime);
    for await (const publication of archive.publications) {
      yield encodeEntry(publication);
      count++;
    }
    yield ARCHIVE_END;
  }
  try {
    // Private events are in it.
    const target = file === undefined ? io.stdout : createWriteStream(resolve(io.cwd, file), { mode: 0o600 });
    await pipeline(Readable.from(inPieces(lines())), target, { end: file !== undefined });
  } finally {
    await archive.close();
  }
  io.stderr.write(`${events(count)} exported\n`);
  if (archive.damage !== undefined)
    throw new M2pushError("storage_unusable", `${archive.damage}; all else is exported`);
}

/** A write for each line would cost more than all the rest. */
async function* inPieces(lines: AsyncIterable<string>): AsyncGenerator<string> {
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
    // Whoever writes to us may keep the pipe open: after a failure it must not keep this process alive.
    input.destroy();
  }
}

const isCluster = ({ cluster }: Config): boolean => cluster.nats.length > 0;

async function openSource(config: Config, clock: Clock): Promise<HistoryArchive> {
  if (isCluster(config)) {
    const { openStreamArchive } = await import("../cluster/stream-archive.js");
    return openStreamArchive(config, clock);
  }
  checkKept(config);
  const { openHistoryArchive } = await import("../storage/history-archive.js");
  return openHistoryArchive(config.history.path, clock);
}

/** Resolves with what has come of it, for people. */
async function fillTarget(archive: HistoryExport, config: Config, clock: Clock): Promise<string> {
  if (isCluster(config)) {
    const { newEpoch } = await import("../storage/memory/memory-history.js");
    const { fillStream } = await import("../cluster/stream-archive.js");
    const { imported, before, held } = await fillStream(archive, config, clock, newEpoch);
    const earlier = before > 0 ? `; ${before} had been imported before` : "";
    return `${events(imported)} imported${earlier}${limits(held, imported + before)}`;
  }
  checkKept(config);
  const { restore } = await import("../storage/history-archive.js");
  const { path, max_events: maxEvents, max_age: maxAge, max_bytes: maxBytes } = config.history;
  const { imported, held } = await restore(archive, { path, maxEvents, maxAge, maxBytes }, clock);
  return `${events(imported)} imported${limits(held, imported)}`;
}

const limits = (held: number, all: number): string =>
  held < all ? `; the limits of [history] let the newest ${held} stay` : "";

function checkKept({ history }: Config): void {
  if (history.store === "lmdb") return;
  throw new M2pushError(
    "storage_unusable",
    'nothing is stored: [history] store is "memory", and there is no [cluster]',
  );
}

const events = (count: number): string => `${count} event${count === 1 ? "" : "s"}`;
