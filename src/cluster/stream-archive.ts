/**
 * Exports the history of a stream, and imports an archive into one. Imported events get new offsets, so an event whose id was its
 * position keeps it as a custom id; a note maps the other positions of the earlier epoch (epoch-map.ts).
 */
import type { Config } from "../config/schema.js";
import { RemovalSet } from "../delivery/removals.js";
import { M2pushError, messageOf } from "../errors.js";
import { draftOf, type HistoryExport } from "../protocol/archive.js";
import type { Publication } from "../protocol/publication.js";
import type { Clock } from "../util/clock.js";
import { encodeEarlierEpoch, keyOfEarlierEpoch, OffsetShift } from "./epoch-map.js";
import { natsDial } from "./nats.js";
import { natsOptions } from "./nats-options.js";
import { findMark, floorBefore, readRemovals } from "./removal-notes.js";
import { decodeStreamRecord, encodeStreamRecord, keyOf } from "./stream-record.js";
import type { StreamSession, StreamState } from "./stream-session.js";

type ArchiveConfig = Pick<Config, "cluster" | "history">;

/** Messages read at a time. */
const READ_BATCH_MESSAGES = 500;
/** Unacknowledged messages of an import. */
const MAX_PENDING_MESSAGES = 256;
/** A stopped daemon counts as a follower for 5 s (CONSUMER_IDLE_TIMEOUT_MS); how long an import waits for that. */
const FOLLOWER_TIMEOUT_MS = 8000;
const INSPECT_INTERVAL_MS = 250;

interface StreamArchive extends HistoryExport {
  readonly session: StreamSession;
  close(): Promise<void>;
}

/** Opens the stream for export; the caller closes it. Rejects with "unavailable" without NATS or the stream. */
export async function openStreamArchive(config: ArchiveConfig, clock: Clock): Promise<StreamArchive> {
  const session = await connect(config, clock);
  try {
    const state = await session.inspect();
    if (!state) throw unavailable(`there is no stream ${config.cluster.stream}`);
    const { epoch, last } = state;
    const floor = floorBefore((await session.find(epoch)) ?? last + 1, (await findMark(session, epoch)).mark);
    const header = { epoch, floor, last };
    return { header, session, publications: publicationsOf(session, header), close: () => session.close() };
  } catch (error) {
    await session.close();
    throw error;
  }
}

async function connect(config: ArchiveConfig, clock: Clock): Promise<StreamSession> {
  const options = natsOptions(config);
  try {
    return await natsDial(options, clock)();
  } catch (cause) {
    throw unavailable(
      `NATS does not answer at ${options.servers.map(withoutSecrets).join(", ")}: ${messageOf(cause)}`,
      cause,
    );
  }
}

async function* publicationsOf(
  session: StreamSession,
  { epoch, floor, last }: HistoryExport["header"],
): AsyncGenerator<Publication> {
  const removed = RemovalSet.of((await readRemovals(session, epoch, last)).records);
  for (let at = floor; at < last; at += READ_BATCH_MESSAGES) {
    const through = Math.min(at + READ_BATCH_MESSAGES, last);
    const messages = await session.read(at, through);
    if (messages[0]?.sequence !== at + 1 && (await floorOf(session, epoch)) > at) {
      throw unavailable("the stream has forgotten events before they were read: export it again");
    }
    for (const message of messages) {
      const publication = message.epoch === epoch ? decodeStreamRecord(message, epoch) : undefined;
      if (typeof publication === "object" && !publication.removes && !removed.has(publication)) yield publication;
    }
  }
}

async function floorOf(session: StreamSession, epoch: string): Promise<number> {
  const state = await session.inspect();
  return state ? floorBefore(state.first, (await findMark(session, epoch)).mark) : 0;
}

interface ImportResult {
  /** Events imported by this call. */
  readonly imported: number;
  /** Events of the archive that an interrupted import had stored before. */
  readonly before: number;
  /** How many of both the stream's limits keep. */
  readonly held: number;
  /** Kept events of the archive, below its floor: a stream keeps none, so they were left out. */
  readonly keptCount: number;
}

/**
 * Imports an archive in order into an empty stream, which is created if it does not exist. After an interrupted import the next
 * call continues behind the last stored event. Each message names its predecessor, so that none is lost, repeated or interleaved.
 *
 * Rejects with "unavailable" when the stream holds other messages, when a daemon follows it, and when NATS disconnects; with
 * "too_large"; and with the errors of the archive.
 */
export async function fillStream(
  archive: HistoryExport,
  config: ArchiveConfig,
  clock: Clock,
  newEpoch: () => string,
): Promise<ImportResult> {
  const session = await connect(config, clock);
  try {
    return await importEvents(session, archive, await prepareStream(session, archive, newEpoch, clock));
  } finally {
    await session.close();
  }
}

/** The stream, ready for the import. */
async function prepareStream(
  session: StreamSession,
  { header }: HistoryExport,
  newEpoch: () => string,
  clock: Clock,
): Promise<StreamState> {
  const there = await session.inspect();
  if (!there) await session.create(newEpoch());
  // Custom ids must not look like positions of the stream's own epoch.
  else if (there.count === 0 && there.epoch === header.epoch) await session.changeEpoch(newEpoch());
  for (const end = clock.monotonic() + FOLLOWER_TIMEOUT_MS; ; ) {
    const state = await session.inspect();
    if (!state) throw unavailable("the stream was made, and is not there");
    const { followers } = state;
    if (followers === 0) return state;
    const who = `${followers} daemon${followers === 1 ? " follows" : "s follow"} the stream`;
    if (clock.monotonic() > end) throw unavailable(`${who}: stop that first (its clients stay connected)`);
    await new Promise<void>((resolve) => clock.after(INSPECT_INTERVAL_MS, resolve));
  }
}

async function importEvents(
  session: StreamSession,
  { header, publications }: HistoryExport,
  state: StreamState,
): Promise<ImportResult> {
  const newest = state.count > 0 ? (await session.read(state.last - 1, state.last))[0]?.data : undefined;
  const sender = new OrderedSender(session, state, header.epoch);
  const shift = new OffsetShift(header.floor);
  let [before, keptCount] = [0, 0];
  let isNew = state.count === 0;
  try {
    for await (const publication of publications) {
      if (publication.offset <= header.floor) {
        keptCount++;
        continue;
      }
      const draft = draftOf(publication);
      const data = encodeStreamRecord(draft, publication.time);
      shift.add(publication.offset);
      if (isNew) await sender.send(keyOf(draft.id), publication.offset, data);
      else {
        before++;
        isNew = newest !== undefined && data.equals(newest);
      }
    }
    const note = (base: number) => encodeEarlierEpoch({ ...header, runs: shift.ranges(base) });
    if (isNew) await sender.send(keyOfEarlierEpoch(header.epoch), "end", note(state.last - before));
    else if (!newest || !note(state.last - 1 - before).equals(newest)) throw streamNotEmpty(state);
    await sender.finish();
  } finally {
    await sender.drained();
  }
  const held = ((await session.inspect())?.count ?? 1) - 1;
  return { imported: shift.count - before, before, held, keptCount };
}

/** Sends messages in order, several in flight at a time. The first failure ends the import: its successors would have no predecessor. */
class OrderedSender {
  readonly #session: StreamSession;
  readonly #epoch: string;
  readonly #archiveName: string;
  readonly #pending: Promise<void>[] = [];
  #last: number;

  /** `name`: the epoch that is imported, for the message ids. */
  constructor(session: StreamSession, { epoch, last }: StreamState, name: string) {
    this.#session = session;
    this.#epoch = epoch;
    this.#archiveName = name;
    this.#last = last;
  }

  /** Resolves when another message may be sent. `what`: the event's offset in the archive. */
  async send(key: string, what: number | "end", data: Buffer): Promise<void> {
    const sent = this.#send(key, `import.${this.#archiveName}.${what}`, data, this.#last++);
    sent.catch(() => {}); // finish() reports it, unless an earlier one has failed
    this.#pending.push(sent);
    if (this.#pending.length >= MAX_PENDING_MESSAGES) await this.#pending.shift();
  }

  /** Resolves when all are stored; rejects when one is not. */
  async finish(): Promise<void> {
    await Promise.all(this.#pending);
  }

  async drained(): Promise<void> {
    await Promise.allSettled(this.#pending);
  }

  async #send(key: string, what: string, data: Buffer, after: number): Promise<void> {
    try {
      const id = `${what}.${after}`;
      const sequence = await this.#session.send({ epoch: this.#epoch, key, id, data, after });
      if (sequence !== after + 1) throw unavailable(`it is at ${sequence}, not at ${after + 1}`);
    } catch (cause) {
      if (cause instanceof M2pushError && cause.code === "too_large") {
        throw new M2pushError(cause.code, `${what}: ${cause.message}`, { cause });
      }
      const fix = "import the same archive again: the import continues where it stopped";
      throw unavailable(`NATS did not take ${what}: ${messageOf(cause)}; ${fix}`, cause);
    }
  }
}

function streamNotEmpty({ count }: StreamState): M2pushError {
  return unavailable(`the stream is not empty, it holds ${count} messages that are not of this import`);
}

/** Without credentials, which an address may contain. */
const withoutSecrets = (address: string): string => new URL(address).host;

function unavailable(message: string, cause?: unknown): M2pushError {
  return new M2pushError("unavailable", message, { cause });
}
