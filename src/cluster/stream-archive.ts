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
import { decodeRecord, encodeRecord, keyOf } from "./stream-record.js";
import type { StreamSession, StreamState } from "./stream-session.js";

type Place = Pick<Config, "cluster" | "history">;

/** Read at once, messages. */
const SPAN = 500;
/** On their way into the stream at most, messages. */
const WINDOW = 256;
/** A daemon that was stopped still counts as following the stream for 5 s; how long that is waited for, milliseconds. */
const LEAVING = 8000;
const LOOK_EVERY = 250;

/** Opens what the stream holds; to be closed. Rejects with "unavailable" when NATS or the stream is not there. */
export async function openStreamArchive(
  place: Place,
  clock: Clock,
): Promise<HistoryExport & { close(): Promise<void> }> {
  const session = await connect(place, clock);
  try {
    const state = await session.look();
    if (!state) throw unavailable(`there is no stream ${place.cluster.stream}`);
    const { epoch, last } = state;
    const floor = ((await session.find(epoch)) ?? last + 1) - 1;
    const lifetime = { epoch, floor, last };
    return { lifetime, publications: all(session, lifetime), close: () => session.close() };
  } catch (error) {
    await session.close();
    throw error;
  }
}

async function connect(place: Place, clock: Clock): Promise<StreamSession> {
  const options = natsOptions(place);
  try {
    return await natsDial(options, clock)();
  } catch (cause) {
    throw unavailable(
      `NATS does not answer at ${options.servers.map(withoutSecrets).join(", ")}: ${textOf(cause)}`,
      cause,
    );
  }
}

async function* all(
  session: StreamSession,
  { epoch, floor, last }: HistoryExport["lifetime"],
): AsyncGenerator<Publication> {
  for (let at = floor; at < last; at += SPAN) {
    const through = Math.min(at + SPAN, last);
    const messages = await session.read(at, through);
    if (messages[0]?.sequence !== at + 1 && ((await session.look())?.first ?? 0) > at + 1) {
      throw unavailable("the stream has forgotten events before they were read: export it again");
    }
    for (const message of messages) {
      const publication = message.epoch === epoch ? decodeRecord(message, epoch) : undefined;
      if (typeof publication === "object") yield publication;
    }
  }
}

interface Filled {
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
  place: Place,
  clock: Clock,
  newEpoch: () => string,
): Promise<Filled> {
  const session = await connect(place, clock);
  try {
    return await fill(session, archive, await begin(session, archive, newEpoch, clock));
  } finally {
    await session.close();
  }
}

/** The stream as it is to be filled. */
async function begin(
  session: StreamSession,
  { lifetime }: HistoryExport,
  newEpoch: () => string,
  clock: Clock,
): Promise<StreamState> {
  const there = await session.look();
  if (!there) await session.make(newEpoch());
  // Ids that look like positions of the stream's own epoch are not to be had.
  else if (there.count === 0 && there.epoch === lifetime.epoch) await session.renew(newEpoch());
  for (const end = clock.monotonic() + LEAVING; ; ) {
    const state = await session.look();
    if (!state) throw unavailable("the stream was made, and is not there");
    const { followers } = state;
    if (followers === 0) return state;
    const who = `${followers} daemon${followers === 1 ? " follows" : "s follow"} the stream`;
    if (clock.monotonic() > end) throw unavailable(`${who}: stop that first (its clients stay connected)`);
    await new Promise<void>((resolve) => clock.after(LOOK_EVERY, resolve));
  }
}

async function fill(
  session: StreamSession,
  { lifetime, publications }: HistoryExport,
  state: StreamState,
): Promise<Filled> {
  const newest = state.count > 0 ? (await session.read(state.last - 1, state.last))[0]?.data : undefined;
  const sender = new Sender(session, state, lifetime.epoch);
  const shift = new OffsetShift(lifetime.floor);
  let before = 0;
  let isNew = state.count === 0;
  try {
    for await (const publication of publications) {
      const draft = draftOf(publication);
      const data = encodeRecord(draft, publication.time);
      shift.add(publication.offset);
      if (isNew) await sender.send(keyOf(draft.id), publication.offset, data);
      else {
        before++;
        isNew = newest !== undefined && data.equals(newest);
      }
    }
    const note = (base: number) => encodeEarlierEpoch({ ...lifetime, runs: shift.runs(base) });
    if (isNew) await sender.send(keyOfEarlierEpoch(lifetime.epoch), "end", note(state.last - before));
    else if (!newest || !note(state.last - 1 - before).equals(newest)) throw occupied(state);
    await sender.finish();
  } finally {
    await sender.settled();
  }
  const held = ((await session.look())?.count ?? 1) - 1;
  return { imported: shift.count - before, before, held };
}

/** Sends one after the other, many under way at a time. The first that fails ends it: those behind it have no place then. */
class Sender {
  readonly #session: StreamSession;
  readonly #epoch: string;
  readonly #name: string;
  readonly #underway: Promise<void>[] = [];
  #last: number;

  /** `name`: what is being imported. */
  constructor(session: StreamSession, { epoch, last }: StreamState, name: string) {
    this.#session = session;
    this.#epoch = epoch;
    this.#name = name;
    this.#last = last;
  }

  /** Resolves when there is room for another one. `what`: its offset, as it was. */
  async send(key: string, what: number | "end", data: Buffer): Promise<void> {
    const sent = this.#send(key, `import.${this.#name}.${what}`, data, this.#last++);
    sent.catch(() => {}); // is seen below, unless another has failed before
    this.#underway.push(sent);
    if (this.#underway.length >= WINDOW) await this.#underway.shift();
  }

  /** Resolves when all have come; rejects when one did not. */
  async finish(): Promise<void> {
    await Promise.all(this.#underway);
  }

  async settled(): Promise<void> {
    await Promise.allSettled(this.#underway);
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
      const mend = "import the same again: it goes on with what is missing";
      throw unavailable(`NATS did not take ${what}: ${textOf(cause)}; ${mend}`, cause);
    }
  }
}

function occupied({ count }: StreamState): M2pushError {
  return unavailable(`the stream is not empty, it holds ${count} messages that are not of this import`);
}

/** An address may hold a password. */
const withoutSecrets = (address: string): string => new URL(address).host;

const textOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

function unavailable(what: string, cause?: unknown): M2pushError {
  return new M2pushError("unavailable", what, { cause });
}
