/**
 * A history in a stream that is carried away, or that is made of what was elsewhere. Events get new offsets there, so an event
 * whose id was its position keeps that as an id of its own; what other positions have become stands in a note (epoch-map.ts).
 */
import type { Config } from "../config/schema.js";
import { M2pushError } from "../errors.js";
import { draftOf, type HistoryExport } from "../protocol/archive.js";
import type { Publication } from "../protocol/publication.js";
import type { Clock } from "../util/clock.js";
import { encodeEarlierEpoch, keyOfEarlierEpoch, OffsetShift } from "./epoch-map.js";
import { natsDial } from "./nats.js";
import { natsOptions } from "./nats-options.js";
import { decodeStreamRecord, encodeStreamRecord, keyOf } from "./stream-record.js";
import type { StreamSession, StreamState } from "./stream-session.js";

type ArchiveConfig = Pick<Config, "cluster" | "history">;

/** Read at once, messages. */
const READ_BATCH_MESSAGES = 500;
/** On their way into the stream at most, messages. */
const MAX_PENDING_MESSAGES = 256;
/** A daemon that was stopped still counts as following the stream for 5 s; how long that is waited for, milliseconds. */
const FOLLOWER_TIMEOUT_MS = 8000;
const INSPECT_INTERVAL_MS = 250;

/** Opens what the stream holds; to be closed. Rejects with "unavailable" when NATS or the stream is not there. */
export async function openStreamArchive(
  config: ArchiveConfig,
  clock: Clock,
): Promise<HistoryExport & { close(): Promise<void> }> {
  const session = await connect(config, clock);
  try {
    const state = await session.inspect();
    if (!state) throw unavailable(`there is no stream ${config.cluster.stream}`);
    const { epoch, last } = state;
    const floor = ((await session.find(epoch)) ?? last + 1) - 1;
    const header = { epoch, floor, last };
    return { lifetime: header, publications: publicationsOf(session, header), close: () => session.close() };
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
  { epoch, floor, last }: HistoryExport["lifetime"],
): AsyncGenerator<Publication> {
  for (let at = floor; at < last; at += READ_BATCH_MESSAGES) {
    const through = Math.min(at + READ_BATCH_MESSAGES, last);
    const messages = await session.read(at, through);
    if (messages[0]?.sequence !== at + 1 && ((await session.inspect())?.first ?? 0) > at + 1) {
      throw unavailable("the stream has forgotten events before they were read: export it again");
    }
    for (const message of messages) {
      const publication = message.epoch === epoch ? decodeStreamRecord(message, epoch) : undefined;
      if (typeof publication === "object") yield publication;
    }
  }
}

interface ImportResult {
  /** How many events came now. */
  readonly imported: number;
  /** How many of the archive had come before, in a try that was broken off. */
  readonly before: number;
  /** How many of both the stream's limits have let stay. */
  readonly held: number;
}

/**
 * Publishes an archive in order into an empty stream, which is made where there is none. Where a try was broken off, the next
 * goes on after the last event that has come. Each message says after which one it must come: nothing is left out, comes
 * twice, or comes between.
 *
 * Rejects with "unavailable" when the stream holds something else, or is being followed, or NATS goes away, with
 * "too_large", and with whatever the archive rejects with.
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

/** The stream as it is to be filled. */
async function prepareStream(
  session: StreamSession,
  { lifetime }: HistoryExport,
  newEpoch: () => string,
  clock: Clock,
): Promise<StreamState> {
  const there = await session.inspect();
  if (!there) await session.create(newEpoch());
  // Ids that look like positions of the stream's own epoch are not to be had.
  else if (there.count === 0 && there.epoch === lifetime.epoch) await session.changeEpoch(newEpoch());
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
  { lifetime, publications }: HistoryExport,
  state: StreamState,
): Promise<ImportResult> {
  const newest = state.count > 0 ? (await session.read(state.last - 1, state.last))[0]?.data : undefined;
  const sender = new OrderedSender(session, state, lifetime.epoch);
  const shift = new OffsetShift(lifetime.floor);
  let before = 0;
  let isNew = state.count === 0;
  try {
    for await (const publication of publications) {
      const draft = draftOf(publication);
      const data = encodeStreamRecord(draft, publication.time);
      shift.add(publication.offset);
      if (isNew) await sender.send(keyOf(draft.id), publication.offset, data);
      else {
        before++;
        isNew = newest !== undefined && data.equals(newest);
      }
    }
    const note = (base: number) => encodeEarlierEpoch({ ...lifetime, runs: shift.ranges(base) });
    if (isNew) await sender.send(keyOfEarlierEpoch(lifetime.epoch), "end", note(state.last - before));
    else if (!newest || !note(state.last - 1 - before).equals(newest)) throw streamNotEmpty(state);
    await sender.finish();
  } finally {
    await sender.drained();
  }
  const held = ((await session.inspect())?.count ?? 1) - 1;
  return { imported: shift.count - before, before, held };
}

/** Sends one after the other, many under way at a time. The first that fails ends it: those behind it have no place then. */
class OrderedSender {
  readonly #session: StreamSession;
  readonly #epoch: string;
  readonly #archiveName: string;
  readonly #pending: Promise<void>[] = [];
  #last: number;

  /** `name`: what is being imported. */
  constructor(session: StreamSession, { epoch, last }: StreamState, name: string) {
    this.#session = session;
    this.#epoch = epoch;
    this.#archiveName = name;
    this.#last = last;
  }

  /** Resolves when there is room for another one. `what`: its offset, as it was. */
  async send(key: string, what: number | "end", data: Buffer): Promise<void> {
    const sent = this.#send(key, `import.${this.#archiveName}.${what}`, data, this.#last++);
    sent.catch(() => {}); // is seen below, unless another has failed before
    this.#pending.push(sent);
    if (this.#pending.length >= MAX_PENDING_MESSAGES) await this.#pending.shift();
  }

  /** Resolves when all have come; rejects when one did not. */
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
      const fix = "import the same again: it goes on with what is missing";
      throw unavailable(`NATS did not take ${what}: ${messageOf(cause)}; ${fix}`, cause);
    }
  }
}

function streamNotEmpty({ count }: StreamState): M2pushError {
  return unavailable(`the stream is not empty, it holds ${count} messages that are not of this import`);
}

/** An address may hold a password. */
const withoutSecrets = (address: string): string => new URL(address).host;

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

function unavailable(message: string, cause?: unknown): M2pushError {
  return new M2pushError("unavailable", message, { cause });
}
