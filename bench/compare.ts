/**
 * m2push beside others, in one run on the same two cores: who holds the connections and who tells it what to write share one,
 * the load client and the publisher have the other. Rounds are interleaved, and each measurement starts its contestant afresh.
 *
 *   node build/bench/compare.js [--rounds 5] [--rows light,burst] [--who m2push,nchan]     (absent: all)
 *
 * Prints medians, and the lowest and highest where there are several; keeps every measurement in bench/results/compare.json
 * (of rows and contestants that are run again, the new ones only), from which bench/plot.ts draws. Measurements from before
 * 2026-11-30 have no writes/s.
 */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { PROJECT } from "../test/support/processes.js";
import type { Contestant } from "./contestants/contestant.js";
import { cHandler, fedHandler, pythonHandler } from "./contestants/handlers.js";
import { m2push } from "./contestants/m2push.js";
import { nchan } from "./contestants/nchan.js";
import { pushpin } from "./contestants/pushpin.js";
import { type Figures, measure, ROWS, type Row } from "./rows.js";

const CONTESTANTS: readonly Contestant[] = [m2push, cHandler, fedHandler, pythonHandler, nchan, pushpin];
const FILE = join(PROJECT, "bench/results/compare.json");

/** By row, then by contestant: one entry a round. */
type Results = Record<string, Record<string, Figures[]>>;

const { values } = parseArgs({
  options: {
    rounds: { type: "string", default: "5" },
    rows: { type: "string", default: ROWS.map(({ name }) => name).join() },
    who: { type: "string", default: CONTESTANTS.map(({ name }) => name).join() },
  },
});
const rows = pick(ROWS, values.rows);
const contestants = pick(CONTESTANTS, values.who).filter((it) => {
  const missing = it.missing();
  if (missing !== undefined) console.error(`${it.name} is left out: ${missing}`);
  return missing === undefined;
});

const results: Results = existsSync(FILE) ? JSON.parse(readFileSync(FILE, "utf8")) : {};
for (const row of rows) for (const { name } of contestants) delete results[row.name]?.[name];
for (let round = 1; round <= Number(values.rounds); round++) {
  for (const row of rows) for (const contestant of contestants) await one(row, contestant);
}
for (const row of rows) print(row);

function pick<T extends { readonly name: string }>(all: readonly T[], names: string): T[] {
  return names.split(",").map((name) => {
    const found = all.find((it) => it.name === name);
    if (!found) throw new Error(`there is no "${name}"; there are ${all.map((it) => it.name).join(", ")}`);
    return found;
  });
}

async function one(row: Row, contestant: Contestant): Promise<void> {
  const running = await contestant.start();
  try {
    if (row.name === "unicast" && running.topicPath === undefined) return;
    const figures = await measure(row, running);
    console.error(row.name, contestant.name, JSON.stringify(figures));
    const { [contestant.name]: earlier = [], ...others } = results[row.name] ?? {};
    results[row.name] = { ...others, [contestant.name]: [...earlier, figures] };
    mkdirSync(join(PROJECT, "bench/results"), { recursive: true });
    writeFileSync(FILE, `${JSON.stringify(results, undefined, 1)}\n`);
  } finally {
    await running.stop();
  }
}

function print({ name, what, figures }: Row): void {
  console.log(`\n### ${name}: ${what}\n`);
  console.log(`| | ${figures.join(" | ")} |\n| --- |${" --- |".repeat(figures.length)}`);
  for (const [who, rounds] of Object.entries(results[name] ?? {})) {
    const cells = figures.map((figure) => cell(rounds.flatMap((it) => it[figure] ?? [])));
    console.log(`| ${who} | ${cells.join(" | ")} |`);
  }
}

/** The median, and what it lies between. */
function cell(values: readonly number[]): string {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (share: number) => brief(sorted[Math.floor((sorted.length - 1) * share)] ?? 0);
  const [low, median, high] = [at(0), at(0.5), at(1)];
  return low === high ? median : `${median} (${low} to ${high})`;
}

function brief(value: number): string {
  if (Math.abs(value) >= 100) return Math.round(value).toLocaleString("en");
  return String(Number(value.toPrecision(3)));
}
