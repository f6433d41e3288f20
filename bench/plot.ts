/**
 * Draws what compare.ts has measured: bench/results/*.svg, a bar for each contestant, its median over the rounds.
 * `node build/bench/plot.js`. The colours suit a light page and a dark one.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { PROJECT } from "../test/support/processes.js";
import type { Figures } from "./rows.js";

interface Plot {
  readonly file: string;
  readonly title: string;
  readonly row: string;
  readonly figure: keyof Figures;
  /** Behind the number. */
  readonly unit: string;
}

const PLOTS: readonly Plot[] = [
  {
    file: "sustained",
    title: "1000 clients, 1000 events/s: events that arrived, each second",
    row: "sustained",
    figure: "deliveries/s",
    unit: "",
  },
  { file: "light", title: "1000 clients, 10 events/s: p99 latency", row: "light", figure: "p99 ms", unit: " ms" },
];
const [WIDTH, LEFT, BAR, GAP, TOP] = [720, 150, 22, 10, 40];
const FOLDER = join(PROJECT, "bench/results");

type Results = Record<string, Record<string, Figures[]>>;
const results: Results = JSON.parse(readFileSync(join(FOLDER, "compare.json"), "utf8"));

for (const plot of PLOTS) writeFileSync(join(FOLDER, `${plot.file}.svg`), draw(plot));

function draw({ title, row, figure, unit }: Plot): string {
  const bars = Object.entries(results[row] ?? {}).map(([who, rounds]) => bar(who, rounds, figure));
  const most = Math.max(...bars.map(({ value }) => value));
  const height = TOP + bars.length * (BAR + GAP);
  const lines = bars.map(({ who, value, lost }, at) => {
    const y = TOP + at * (BAR + GAP);
    const length = Math.max(1, (value / most) * (WIDTH - LEFT - 230));
    const number = `${value >= 100 ? Math.round(value).toLocaleString("en") : value.toFixed(1)}${unit}`;
    const fate = lost > 0 ? `, ${lost.toLocaleString("en")} clients cut off` : "";
    return `<text x="${LEFT - 10}" y="${y + 16}" text-anchor="end">${who}</text>
<rect x="${LEFT}" y="${y}" width="${length.toFixed(1)}" height="${BAR}" rx="3" fill="${who === "m2push" ? "#d9730d" : "#8a94a0"}"/>
<text x="${(LEFT + length + 8).toFixed(1)}" y="${y + 16}">${number}${fate}</text>`;
  });
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" role="img" font-family="sans-serif" font-size="14" fill="#808891">
<title>${title}</title>
<text x="0" y="20" font-size="16" font-weight="bold">${title}</text>
${lines.join("\n")}
</svg>
`;
}

function bar(who: string, rounds: readonly Figures[], figure: keyof Figures) {
  const median = (of: (it: Figures) => number) => rounds.map(of).sort((a, b) => a - b)[(rounds.length - 1) >> 1] ?? 0;
  return { who, value: median((it) => it[figure]), lost: 1000 - median(({ alive }) => alive) };
}
