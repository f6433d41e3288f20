/**
 * What [events] zmq costs under a light load: the daemon with a PUB socket and a subscriber of all events, beside the same daemon without
 * it, in pairs of alternating order. `node build/bench/events.js [PAIRS] [publish]`; four pairs without an argument, and events of clients
 * without "publish".
 */
import { Subscriber } from "zeromq";
import { freePort } from "../test/support/ports.js";
import { PROJECT } from "../test/support/processes.js";
import { startBuild } from "./contestants/m2push.js";
import { type Figures, measure, ROWS } from "./rows.js";

const PAIRS = Number(process.argv[2] ?? 4);
const KINDS = process.argv[3] === "publish" ? 'zmq_events = ["connect", "disconnect", "publish"]\n' : "";
const COMPARED = ["p50 ms", "p99 ms", "server us", "handler us"] as const;
const light = ROWS.find(({ name }) => name === "light");
if (!light) throw new Error("there is no such row");
const row = light;

async function measureWith(hasEvents: boolean): Promise<Figures> {
  const zmq = `tcp://127.0.0.1:${await freePort()}`;
  const running = await startBuild(PROJECT, hasEvents ? `[events]\nzmq = "${zmq}"\n${KINDS}` : "");
  const subscriber = new Subscriber();
  subscriber.connect(zmq);
  subscriber.subscribe();
  let count = 0;
  const reading = (async () => {
    for await (const _ of subscriber) count++;
  })();
  try {
    return await measure(row, running);
  } finally {
    await running.stop();
    subscriber.close();
    await reading;
    if (hasEvents) console.error(`${count} events were read`);
  }
}

const ratios = new Map<string, number[]>(COMPARED.map((figure) => [figure, []]));
for (let pair = 0; pair < PAIRS; pair++) {
  const isFirst = pair % 2 === 0;
  const figures = [await measureWith(isFirst), await measureWith(!isFirst)] as const;
  const [on, off] = isFirst ? figures : [figures[1], figures[0]];
  for (const figure of COMPARED) ratios.get(figure)?.push(on[figure] / off[figure]);
}
console.table(
  Object.fromEntries(
    [...ratios].map(([figure, all]) => {
      const sorted = all.sort((a, b) => a - b);
      const median = ((sorted[(PAIRS - 1) >> 1] ?? 0) + (sorted[PAIRS >> 1] ?? 0)) / 2;
      return [figure, { median: median.toFixed(3), all: sorted.map((ratio) => ratio.toFixed(3)).join(" ") }];
    }),
  ),
);
