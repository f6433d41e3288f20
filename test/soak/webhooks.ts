/**
 * Webhooks through kills of the daemon and minutes of a dead receiver: 100 connects a second, each with a topic of its own, so that its
 * events are known. `npm run soak:webhooks [-- SECONDS]`; 300 seconds without an argument. Prints what was told; exit code 1 when an event
 * is missing or out of order.
 */
import { setTimeout as pause } from "node:timers/promises";
import { type Pair, startPair } from "../support/pair.js";
import { openStream } from "../support/sse-client.js";
import { type ReceivedEvent, WEBHOOK_SECRET, WebhookReceiver } from "../support/webhook-receiver.js";

const SECONDS = Number(process.argv[2] ?? 300);
const CONNECTS_PER_SECOND = 100;
const KILL_INTERVAL_SECONDS = 60;
const STREAM_MS = 1500;
const DRAIN_TIMEOUT_MS = 180_000;

const ends: (() => unknown)[] = [];
const lifetime = { after: (end: () => unknown) => void ends.push(end) } as Parameters<typeof startPair>[0];
const receiver = await WebhookReceiver.start();
const pair = await startPair(lifetime, {
  config: {
    events: { grace: "1s" },
    "[webhook]": { url: receiver.url, secret: WEBHOOK_SECRET },
  },
  settings: { "limits.tick_timer": 1 },
});
receiver.stop();
const opened = await load(pair);
console.log(`${opened.size} streams were opened; the receiver starts`);
const since = performance.now();
await receiver.restart();
await receiver
  .until((events) => ended(events).size >= opened.size, "every disconnect", DRAIN_TIMEOUT_MS)
  .catch(console.error);
report(opened, receiver.events);
console.log(`${receiver.requests} requests in ${Math.round(performance.now() - since)} ms`);
for (const end of ends.reverse()) await end();
receiver.stop();

/** Opens streams for the given time, and kills the daemon now and then; returns the topics of those that were open. */
async function load({ mongrel2, daemon }: Pair): Promise<Set<string>> {
  const topics = new Set<string>();
  const streams: Promise<void>[] = [];
  const start = performance.now();
  let kills = 0;
  for (let number = 0; number < SECONDS * CONNECTS_PER_SECOND; number++) {
    streams.push(visit(`${mongrel2.url}/esupdates`, `t${number}`, topics));
    const due = start + ((number + 1) * 1000) / CONNECTS_PER_SECOND;
    const early = due - performance.now();
    if (early > 0) await pause(early);
    if (number % (KILL_INTERVAL_SECONDS * CONNECTS_PER_SECOND) !== KILL_INTERVAL_SECONDS * 50) continue;
    kills++;
    await pair.daemon.kill9();
    await pair.restart();
  }
  await Promise.all(streams);
  console.log(
    `${kills} kills of the daemon; the last one was ${daemon.pid === pair.daemon.pid ? "not restarted" : "restarted"}`,
  );
  return topics;
}

/** A stream that did not open, because the daemon was killed at that moment, does not count. */
async function visit(url: string, topic: string, topics: Set<string>): Promise<void> {
  try {
    const stream = await openStream(`${url}?topic=${topic}`);
    if (stream.status === 200) topics.add(topic);
    await Promise.race([pause(STREAM_MS), stream.closed]);
    await stream.close();
  } catch {
    return; // cut off before its response
  }
}

function topicOf({ selectors }: ReceivedEvent): string {
  return (selectors as { value: string }[] | undefined)?.[0]?.value ?? "";
}

/** Sessions that have ended. */
function ended(events: readonly ReceivedEvent[]): Set<string> {
  return new Set(events.filter(({ kind }) => kind === "disconnect").map(({ session }) => session));
}

function report(topics: ReadonlySet<string>, events: readonly ReceivedEvent[]): void {
  const sessions = new Map<string, string[]>();
  const told = new Set<string>();
  for (const event of events) {
    const known = sessions.get(event.session);
    if (known) known.push(event.kind);
    else sessions.set(event.session, [event.kind]);
    if (event.kind === "connect") told.add(topicOf(event));
  }
  const shapes = new Map<string, number>();
  for (const kinds of sessions.values()) shapes.set(kinds.join(" "), (shapes.get(kinds.join(" ")) ?? 0) + 1);
  const missing = [...topics].filter((topic) => !told.has(topic));
  const holes = events.filter(({ sequence }, at) => at > 0 && sequence !== (events[at - 1]?.sequence ?? 0) + 1).length;
  const wrong = [...shapes.keys()].filter((shape) => !/^connect( adopt)* disconnect$/.test(shape));
  console.table(Object.fromEntries(shapes));
  console.log({ events: events.length, sessions: sessions.size, missing: missing.length, holes, wrong });
  if (missing.length + holes + wrong.length > 0) process.exitCode = 1;
}
