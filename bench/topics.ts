/**
 * What it costs to find who wants a publication, and what the worst patterns cost. `node build/bench/topics.js`.
 * Times are medians of rounds; ratios are against an index with ten topics and no pattern.
 */
import { compile, parseSelector, type Selector } from "../src/matching/selector.js";
import { TopicIndex } from "../src/matching/topic-index.js";

const BASE = "https://hub.example/.well-known/mercure";
const ROUNDS = 7;

const exact = (topic: string): Selector => parseSelector("exact", topic, BASE);
const topicOf = (i: number): string => `https://example.com/books/${i}`;
/** Half of each kind, all different, of which one in a hundred matches a given book. */
const patternOf = (i: number): Selector =>
  i % 2 === 0
    ? parseSelector("template", `https://example.com/{kind}/${i % 100}{?q${i}}`, BASE)
    : parseSelector("urlpattern", `https://example.com/:kind${i}/${i % 100}`, BASE);

/** Nanoseconds for one call, `count` of them in a round. */
function time(count: number, work: (i: number) => unknown): number {
  const rounds: number[] = [];
  let sink = 0;
  for (let round = 0; round < ROUNDS; round++) {
    const start = process.hrtime.bigint();
    for (let i = 0; i < count; i++) sink += work(i) === undefined ? 1 : 0;
    rounds.push(Number(process.hrtime.bigint() - start) / count);
  }
  if (sink > 0) throw new Error("work that comes to nothing measures nothing");
  return rounds.sort((a, b) => a - b)[ROUNDS >> 1] ?? Number.NaN;
}

function index(topics: number, patterns: number): TopicIndex<unknown> {
  const all = new TopicIndex<unknown>(BASE);
  for (let i = 0; i < topics; i++) all.add([exact(topicOf(i))], i);
  for (let i = 0; i < patterns; i++) all.add([patternOf(i)], topics + i);
  return all;
}

function measureIndex(): void {
  const published = Array.from({ length: 10 }, (_, i) => [topicOf(i)]);
  const unmatched = Array.from({ length: 10 }, (_, i) => [topicOf(i + 200)]);
  const query = (all: TopicIndex<unknown>, topics: string[][]) =>
    time(200_000, (i) => all.matching(topics[i % 10] ?? []));
  const [tiny, large] = [index(10, 0), index(100_000, 1_000)];
  const small = query(tiny, published);
  const broadcast = new TopicIndex<unknown>(BASE);
  broadcast.add([{ kind: "any" }], 1);
  const rows = {
    "10 topics, 0 patterns": small,
    "100,000 topics, 0 patterns": query(index(100_000, 0), published),
    "100,000 topics, 1,000 patterns, known topic that none matches": query(large, unmatched),
    "100,000 topics, 1,000 patterns, known topic that 10 match": query(large, published),
    "100,000 topics, 1,000 patterns, new topic": time(
      1_000,
      freshTopic((topic) => large.matching([topic])),
    ),
    "one value with any": query(broadcast, published),
  };
  const row = ([held, ns]: [string, number]) => ({ held, ns: Math.round(ns), ratio: (ns / small).toFixed(1) });
  console.table(Object.entries(rows).map(row));
}

/** Calls with a topic never seen before. */
function freshTopic(use: (topic: string) => unknown): () => unknown {
  let next = 1_000_000;
  return () => use(topicOf(next++));
}

/** Adding and removing, with all others held. */
function measureChange(): void {
  const large = index(100_000, 1_000);
  const both = (selector: Selector) => {
    const value = { like: "an audience" };
    large.add([selector], value);
    large.remove([selector], value);
    return value;
  };
  const change = (name: string, selector: Selector) => ({
    change: name,
    "ns, to come and go": Math.round(time(10_000, () => both(selector))),
  });
  console.table([
    change("exact topic", exact("news")),
    change("pattern held by others", patternOf(1)),
    change("pattern of its own", patternOf(100_001)),
  ]);
}

/** Patterns chosen to be slow, on topics chosen to make them so. */
function measureWorst(): void {
  const long = `https://e.com/${"ab".repeat(2_040)}`;
  const short = long.slice(0, 100);
  const cases: [string, Selector][] = [
    ["a usual template", parseSelector("template", "https://e.com/{id}", BASE)],
    ["a usual pattern", parseSelector("urlpattern", "https://e.com/:id", BASE)],
    ["five wildcards", parseSelector("urlpattern", "https://e.com/*a*a*a*a*(\\D)", BASE)],
    ["40 variables", parseSelector("template", `https://e.com/${"{+a}".repeat(40)}!{b}`, BASE)],
    ["(.*a.{200})", parseSelector("urlpattern", "https://e.com/(.*a.{200})", BASE)],
    ["((?:a|b|ab)*)*[xyz]", parseSelector("urlpattern", "https://e.com/((?:(?:a|b|ab)*)*[xyz])", BASE)],
    ["(.?){240}", parseSelector("urlpattern", "https://e.com/((?:.?){240})", BASE)],
  ];
  const rows = cases.map(([name, selector]) => {
    const matcher = compile(selector, BASE);
    const us = (topic: string) => (time(200, (i) => matcher(`${topic}${i}`)) / 1000).toFixed(1);
    return { pattern: name, "us, 100 B": us(short), "us, 4 kB": us(long) };
  });
  console.table(rows);
}

measureIndex();
measureChange();
measureWorst();
