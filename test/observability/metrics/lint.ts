/**
 * Reads the Prometheus text format 0.0.4 strictly, and says what breaks its rules or its conventions: what `promtool check
 * metrics` looks for, and a little more (every sample's family is declared, histograms are whole).
 */

interface Sample {
  readonly name: string;
  readonly labels: ReadonlyMap<string, string>;
  readonly value: number;
}

export interface Family {
  readonly name: string;
  readonly type: string;
  readonly help: string;
  readonly samples: Sample[];
}

const SAMPLE = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)$/;
const LABEL = /([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\[\\"n])*)"(?:,|$)/y;

/** Throws at the first line that is not of the format. */
export function parseMetrics(text: string): Map<string, Family> {
  if (!text.endsWith("\n")) throw new Error("the last line has no end");
  const families = new Map<string, Family>();
  const helps = new Map<string, string>();
  for (const line of text.slice(0, -1).split("\n")) {
    const [, help, about] = /^# HELP (\S+) (.*)$/.exec(line) ?? [];
    const [, typed, type] = /^# TYPE (\S+) (counter|gauge|histogram)$/.exec(line) ?? [];
    if (help !== undefined) helps.set(help, about ?? "");
    else if (typed !== undefined) {
      if (families.has(typed)) throw new Error(`${typed} is declared twice`);
      families.set(typed, { name: typed, type: type ?? "", help: helps.get(typed) ?? "", samples: [] });
    } else if (line !== "") addSample(families, parseSample(line));
  }
  return families;
}

function addSample(families: ReadonlyMap<string, Family>, sample: Sample): void {
  const family = families.get(sample.name) ?? families.get(sample.name.replace(/_(?:bucket|sum|count)$/, ""));
  if (!family) throw new Error(`${sample.name} was not declared`);
  family.samples.push(sample);
}

function parseSample(line: string): Sample {
  const [, name, inside = "", number = ""] = SAMPLE.exec(line) ?? [];
  if (name === undefined) throw new Error(`no sample: ${line}`);
  const labels = new Map<string, string>();
  LABEL.lastIndex = 0;
  while (LABEL.lastIndex < inside.length) {
    const [, label, value] = LABEL.exec(inside) ?? [];
    if (label === undefined || labels.has(label)) throw new Error(`bad labels: ${line}`);
    labels.set(label, value ?? "");
  }
  const value = number === "+Inf" ? Number.POSITIVE_INFINITY : Number(number);
  if (Number.isNaN(value)) throw new Error(`no number: ${line}`);
  return { name, labels, value };
}

/** What is wrong with the names, units, helps, labels and histograms of a good text; empty = nothing. */
export function lint(text: string): string[] {
  return [...parseMetrics(text).values()].flatMap((family) => [...lintFamily(family)]);
}

const ABBREVIATED = /_(?:ms|msec|milliseconds|us|ns|sec|s|kb|mb|kilobytes|megabytes|b)(?:_|$)/;

function* lintFamily({ name, type, help, samples }: Family): Generator<string> {
  if (help === "") yield `${name}: no help`;
  if (!/^[a-z][a-z0-9_]*$/.test(name)) yield `${name}: no snake case`;
  if (ABBREVIATED.test(name)) yield `${name}: not a base unit`;
  if ((type === "counter") !== name.endsWith("_total")) yield `${name}: _total belongs to counters, and to all of them`;
  if (/_(?:count|sum|bucket)$/.test(name)) yield `${name}: the ending is reserved`;
  // What never changes is in the labels of a series that is always 1.
  if (name.endsWith("_info") && samples.some(({ value }) => value !== 1)) yield `${name}: the ending is reserved`;
  if (name.includes(type)) yield `${name}: its type in its name`;
  const series = samples.map((sample) => `${sample.name} ${[...sample.labels].sort()}`);
  if (new Set(series).size !== series.length) yield `${name}: a series twice`;
  for (const { labels, value } of samples) {
    if (type !== "histogram" && labels.has("le")) yield `${name}: the label le outside a histogram`;
    if (type !== "gauge" && !(value >= 0)) yield `${name}: ${value}`;
  }
  if (type === "histogram") yield* lintHistogram(name, samples);
}

/** For each set of labels: buckets that rise to +Inf, which is the count, and a sum. */
function* lintHistogram(name: string, samples: readonly Sample[]): Generator<string> {
  const groups = new Map<string, Sample[]>();
  for (const sample of samples) {
    const rest = String([...sample.labels].filter(([label]) => label !== "le").sort());
    groups.set(rest, [...(groups.get(rest) ?? []), sample]);
  }
  for (const group of groups.values()) {
    const values = group.filter((it) => it.name === `${name}_bucket`).map(({ value }) => value);
    const last = group.find((it) => it.labels.get("le") === "+Inf")?.value;
    const count = group.find((it) => it.name === `${name}_count`)?.value;
    if (values.some((value, at) => value < (values[at - 1] ?? 0))) yield `${name}: buckets do not rise`;
    if (last === undefined || last !== count) yield `${name}: +Inf is ${last}, the count ${count}`;
    if (!group.some((it) => it.name === `${name}_sum`)) yield `${name}: no sum`;
  }
}

/** One sample's value; undefined when it is not there. `labels`: all of them. */
export function sampleOf(
  text: string,
  name: string,
  labels: Readonly<Record<string, string>> = {},
): number | undefined {
  const wanted = Object.entries(labels);
  for (const { samples } of parseMetrics(text).values()) {
    const found = samples.find(
      (it) =>
        it.name === name &&
        it.labels.size === wanted.length &&
        wanted.every(([key, value]) => it.labels.get(key) === value),
    );
    if (found) return found.value;
  }
  return undefined;
}
