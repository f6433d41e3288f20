/**
 * How soon a change of the topics of an open stream takes effect: from the PATCH to its answer, and to the m2push-topics event on the stream,
 * beside many streams that could be changed as well, quiet and while events are published to all of them.
 * `node build/bench/topic-changes.js [clients] [changes]`.
 */
import { startDaemon } from "../test/support/daemon.js";
import { startMongrel2 } from "../test/support/mongrel2.js";
import { freePort } from "../test/support/ports.js";
import { openStream, type SseClient } from "../test/support/sse-client.js";
import { daemonConfig, type Load, load, MEASURED_CORE, pin, publish } from "./tools.js";

const [clients = 10_000, changes = 300] = process.argv.slice(2).map(Number);
/** Streams that are changed, in turn. */
const CHANGED_COUNT = 20;
const RATE = 10;
const HUB = "/.well-known/mercure";

interface Changed {
  readonly stream: SseClient;
  readonly name: string;
}

interface Times {
  readonly answered: number[];
  readonly effective: number[];
}

const mongrel2 = await startMongrel2({
  settings: { "superpoll.max_fd": 20_000, "superpoll.hot_dividend": 2 },
  handlers: [{ routes: ["/esupdates", HUB] }],
});
pin(mongrel2.pid, MEASURED_CORE);
const spec = `tcp://127.0.0.1:${await freePort()}`;
const daemon = startDaemon({ config: daemonConfig(mongrel2, spec, '[log]\nlevel = "warn"\n') });
try {
  pin(daemon.pid, MEASURED_CORE);
  const streams = await openAll();
  const [few, quiet, busy] = [await measure(streams), emptyTimes(), emptyTimes()];
  const path = "/esupdates?control=1";
  const seconds = Math.ceil(changes / 20) + 20;
  const seen = await load({ port: mongrel2.port, clients, seconds, path, quiet: seconds }, async () => {
    Object.assign(quiet, await measure(streams));
    const publishing = publish(spec, { rate: RATE, seconds: 15 });
    Object.assign(busy, await measure(streams));
    await publishing;
  });
  console.table([
    row(`${CHANGED_COUNT} streams`, few),
    row(`${clients} streams more, quiet`, quiet),
    row(`the same, ${RATE} events/s to all`, busy),
  ]);
  console.table([loadRow(seen)]);
} finally {
  await daemon.stop();
  await mongrel2.stop();
}

async function openAll(): Promise<Changed[]> {
  const opened: Changed[] = [];
  while (opened.length < CHANGED_COUNT) {
    const stream = await openStream(`${mongrel2.url}/esupdates?topic=mine&control=1`, {}, 30_000);
    opened.push({ stream, name: String(stream.headers["m2push-stream"]) });
  }
  return opened;
}

async function measure(streams: readonly Changed[]): Promise<Times> {
  const times = emptyTimes();
  for (let count = 0; count < changes; count++) {
    const { stream, name } = streams[count % streams.length] as Changed;
    const action = count % (2 * streams.length) < streams.length ? "add" : "remove";
    const from = performance.now();
    const since = () => performance.now() - from;
    const body = new URLSearchParams([[action, "another"]]);
    const answered = fetch(`${mongrel2.url}${HUB}/streams/${name}`, { method: "PATCH", body }).then(
      async (response) => {
        if (response.status !== 200) throw new Error(`${response.status}: ${await response.text()}`);
        times.answered.push(since());
        await response.arrayBuffer();
      },
    );
    const effective = stream.next(({ type }) => type === "m2push-topics").then(() => times.effective.push(since()));
    await Promise.all([answered, effective]);
  }
  return times;
}

function emptyTimes(): Times {
  return { answered: [], effective: [] };
}

function row(beside: string, { answered, effective }: Times) {
  const of = (times: readonly number[]) => {
    const sorted = [...times].sort((a, b) => a - b);
    const at = (part: number) => sorted[Math.min(sorted.length - 1, Math.floor(part * sorted.length))]?.toFixed(1);
    return `${at(0.5)} / ${at(0.99)} / ${at(1)}`;
  };
  return {
    beside,
    changes: effective.length,
    "ms to the answer (p50/p99/max)": of(answered),
    "ms to the event on the stream": of(effective),
  };
}

function loadRow({ clients: all, alive, missing, dup, lat_ms }: Load) {
  return { clients: all, alive, missing, dup, "p50 ms": lat_ms.p50, "p99 ms": lat_ms.p99 };
}
