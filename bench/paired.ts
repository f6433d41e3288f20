/**
 * This checkout beside another one, pair by pair in one run, so that the answer holds on a machine whose speed drifts.
 *
 *   npm run bench:paired -- --against DIR [--pairs 10] [--rows light,burst] [--bound 1.05]
 *
 * DIR is another checkout with a built dist/. Each pair measures both, in alternating order. A ratio above 1 says that this
 * checkout is slower. The interval is that of the median by order statistics: with ten pairs the second smallest and the second
 * largest ratio, 97.9 %. Exit code 1 when the lower end of an interval lies above --bound.
 */
import { parseArgs } from "node:util";
import { PROJECT } from "../test/support/processes.js";
import { startBuild } from "./contestants/m2push.js";
import { type Figures, measure, ROWS, type Row } from "./rows.js";

type Figure = keyof Figures;

/** What is compared in each row. */
const COMPARED: Readonly<Record<string, readonly Figure[]>> = {
  light: ["p50 ms", "p99 ms", "server us", "handler us"],
  "light-warm": ["p50 ms", "p99 ms", "server us", "handler us"],
  burst: ["deliveries/s", "handler us"],
  sustained: ["p99 ms", "handler us"],
  storm: ["connect s"],
  unicast: ["deliveries/s", "handler us"],
};
/** More is better: the ratio is turned round. */
const RATES: ReadonlySet<Figure> = new Set(["deliveries/s"]);

const { values } = parseArgs({
  options: {
    against: { type: "string" },
    pairs: { type: "string", default: "10" },
    rows: { type: "string", default: "light,burst" },
    bound: { type: "string", default: "1.05" },
  },
});
if (values.against === undefined) throw new Error("--against DIR is needed: a checkout with a built dist/");
const other = values.against;

let isSlower = false;
for (const name of values.rows.split(",")) {
  const row = ROWS.find((it) => it.name === name);
  const compared = COMPARED[name];
  if (!row || !compared) throw new Error(`no row "${name}"; there are ${Object.keys(COMPARED).join(", ")}`);
  const pairs: (readonly [own: Figures, other: Figures])[] = [];
  for (let pair = 0; pair < Number(values.pairs); pair++) pairs.push(await measurePair(row, pair % 2 === 0));
  console.log(`\n${name}: ${row.what}; ${pairs.length} pairs, this checkout over the other`);
  console.table(Object.fromEntries(compared.map((figure) => [figure, summary(pairs, figure)])));
}
if (isSlower) process.exitCode = 1;

async function measurePair(row: Row, ownFirst: boolean): Promise<readonly [Figures, Figures]> {
  const measured = new Map<string, Figures>();
  for (const project of ownFirst ? [PROJECT, other] : [other, PROJECT]) {
    const running = await startBuild(project);
    try {
      measured.set(project, await measure(row, running));
    } finally {
      await running.stop();
    }
  }
  const pair = [measured.get(PROJECT), measured.get(other)] as const;
  console.error(row.name, JSON.stringify(pair));
  return pair as readonly [Figures, Figures];
}

function summary(pairs: readonly (readonly [Figures, Figures])[], figure: Figure) {
  const ratios = pairs.map(([own, theirs]) =>
    RATES.has(figure) ? theirs[figure] / own[figure] : own[figure] / theirs[figure],
  );
  ratios.sort((a, b) => a - b);
  const at = (index: number) => ratios[index] ?? Number.NaN;
  const skipped = pairs.length >= 9 ? 1 : 0;
  const half = pairs.length / 2;
  const median = (at(Math.ceil(half) - 1) + at(Math.floor(half))) / 2;
  const low = at(skipped);
  if (low > Number(values.bound)) isSlower = true;
  return { median: median.toFixed(3), low: low.toFixed(3), high: at(pairs.length - 1 - skipped).toFixed(3) };
}
