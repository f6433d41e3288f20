/**
 * The guard against growing slow, by ratios within one run, so that it says the same on any machine: m2push against the C handler,
 * three interleaved rounds, under a light load. `npm run bench:quick`, two minutes; exit code 1 when a ratio is above its
 * bound. The bounds leave room for the noise of a small machine: run it again before believing one.
 */
import { cHandler } from "./contestants/handlers.js";
import { m2push } from "./contestants/m2push.js";
import { type Figures, measure, ROWS } from "./rows.js";

const ROUNDS = 3;
/** Of medians: m2push over the C handler. Measured when this was written: 1.1 to 1.3, 1.0 to 1.6, 1.0 to 1.2. */
const BOUNDS: Partial<Record<keyof Figures, number>> = { "p50 ms": 1.6, "p99 ms": 2, "server us": 1.5 };
/** m2push alone: processor time for a delivery, of the daemon over Mongrel2's. Measured: 0.09 to 0.3. */
const SHARE = 0.5;

const light = ROWS.find(({ name }) => name === "light");
if (!light) throw new Error("there is no such row");
const [ours, theirs]: [Figures[], Figures[]] = [[], []];
for (let round = 0; round < ROUNDS; round++) {
  for (const [contestant, figures] of [[m2push, ours] as const, [cHandler, theirs] as const]) {
    const running = await contestant.start();
    try {
      figures.push(await measure(light, running));
    } finally {
      await running.stop();
    }
  }
}

const median = (figures: readonly Figures[], of: keyof Figures) =>
  figures.map((it) => it[of]).sort((a, b) => a - b)[figures.length >> 1] ?? Number.NaN;
const rows = Object.entries(BOUNDS).map(([name, bound]) => {
  const [own, other] = [median(ours, name as keyof Figures), median(theirs, name as keyof Figures)];
  return { what: `${name}: m2push ${own.toFixed(2)}, C handler ${other.toFixed(2)}`, ratio: own / other, bound };
});
rows.push({
  what: "processor: daemon over Mongrel2",
  ratio: median(ours, "handler us") / median(ours, "server us"),
  bound: SHARE,
});
console.table(rows.map((row) => ({ ...row, ratio: row.ratio.toFixed(2) })));
if (rows.some(({ ratio, bound }) => !(ratio <= bound))) process.exitCode = 1;
