/** Reads the idempotency keys of the messages that a starting daemon does not take: its history begins behind them. */
import { type Clock, waitAtMost } from "../util/clock.js";
import { mayHaveKey } from "./stream-record.js";
import type { StreamMessage, StreamSession } from "./stream-session.js";

/** Messages that are read at most: the newest ones. About two seconds. */
const MAX_READ_MESSAGES = 200_000;
/** The daemon then starts with the keys that it has. */
const READ_TIMEOUT_MS = 15_000;

/** `take` is called for each message after `after` up to `through` that may have a key, in order. */
export async function readKeys(
  session: StreamSession,
  clock: Clock,
  range: { readonly after: number; readonly through: number },
  take: (message: StreamMessage) => void,
): Promise<void> {
  const { through } = range;
  const after = Math.max(range.after, through - MAX_READ_MESSAGES);
  if (after >= through) return;
  let done: () => void = () => {};
  const finished = new Promise<void>((resolve) => {
    done = resolve;
  });
  const takeOne = (message: StreamMessage) => {
    if (message.sequence <= through && mayHaveKey(message.data)) take(message);
    if (message.sequence >= through) done();
  };
  const consumer = await session.follow(after + 1, takeOne, done);
  await waitAtMost(clock, READ_TIMEOUT_MS, Promise.race([finished, session.closed]));
  consumer.stop();
}
