// Live line charts: SVG, a point each second. A line stops where values are unknown. The chart's label states its values, and the
// dashboard has a table of the same figures.
const SVG = "http://www.w3.org/2000/svg";
/** Time spans of a chart, minutes: the smallest that holds all samples, so that the first minute fills the chart. */
const MINUTES = [1, 2, 3, 5, 10, 15, 30, 60];
/** Size in the units of the SVG view box. */
const WIDTH = 300;
const HEIGHT = 100;
/** Two points further apart are not joined: nothing is known between them. Points of more than five minutes ago are 10 s apart. */
const MAX_GAP_MS = 3500;
const MAX_OLD_GAP_MS = 25_000;
const OLD_AGE_MS = 5 * 60_000 - 30_000;

/** Formats a number, with decimal places for small ones; an unknown one as a dash. @param {number | null} value */
export function figure(value) {
  if (value === null) return "–";
  const maximumFractionDigits = value < 1 ? 2 : value < 100 ? 1 : 0;
  return value.toLocaleString(undefined, { maximumFractionDigits });
}

/** @param {string} tag  @param {Record<string, string | number>} attributes  @param {...(Node | string)} children */
export function element(tag, attributes = {}, ...children) {
  const it = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) it.setAttribute(name, String(value));
  it.append(...children);
  return it;
}

function shape(tag, attributes) {
  const it = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) it.setAttribute(name, String(value));
  return it;
}

/** The next 1, 2 or 5 times a power of ten, so that the scale changes seldom. */
function ceiling(value) {
  if (value <= 1) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 5, 10].map((step) => step * power).find((step) => step >= value);
}

/** How many minutes charts of these samples show. @param {readonly Sample[]} samples oldest first  @param {number} now */
export function minutesOf(samples, now) {
  const age = now - (samples[0]?.at ?? now);
  return MINUTES.find((minutes) => minutes * 60_000 >= age) ?? Math.max(...MINUTES);
}

/**
 * @typedef {{ at: number }} Sample  with the fields that the lines read
 * @typedef {{ name: string, of: (sample: Sample) => number | null }} Line
 */
export class Chart {
  /** @param {string} title  @param {string} unit  @param {readonly Line[]} lines one or two */
  constructor(title, unit, lines) {
    this.title = title;
    this.unit = unit;
    this.lines = lines;
    this.top = element("span", { class: "top" });
    this.now = lines.map(() => element("b"));
    this.paths = lines.map((_, at) =>
      shape("path", { class: `line line-${at}`, "vector-effect": "non-scaling-stroke" }),
    );
    this.svg = shape("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img" });
    for (const y of [0, HEIGHT / 2, HEIGHT]) {
      this.svg.append(
        shape("line", { x1: 0, x2: WIDTH, y1: y, y2: y, class: "grid", "vector-effect": "non-scaling-stroke" }),
      );
    }
    this.areas = lines.map((_, at) => shape("path", { class: `area area-${at}` }));
    this.svg.append(...this.areas, ...this.paths);
    this.figure = this.#figure();
  }

  /** @param {readonly Sample[]} samples oldest first  @param {number} now */
  draw(samples, now) {
    const series = this.lines.map(({ of }) => samples.map((sample) => [sample.at, of(sample)]));
    const known = series.flat().flatMap(([, value]) => (value === null ? [] : [value]));
    const most = ceiling(Math.max(0, ...known));
    this.top.textContent = `${figure(most)}${this.unit}`;
    const span = minutesOf(samples, now) * 60_000;
    series.forEach((points, at) => {
      const runs = runsOf(points, { now, span, most });
      this.paths[at].setAttribute("d", runs.map(lineOf).join(""));
      this.areas[at].setAttribute("d", runs.map(areaOf).join(""));
      this.now[at].textContent = `${figure(points.at(-1)?.[1] ?? null)}${this.unit}`;
    });
    this.svg.setAttribute("aria-label", this.#words(series));
  }

  #words(series) {
    const each = series.map((points, at) => {
      const values = points.map(([, value]) => value).filter((value) => value !== null);
      if (values.length === 0) return `${this.lines[at].name}: no values`;
      const [least, most] = [Math.min(...values), Math.max(...values)];
      return `${this.lines[at].name}: now ${this.now[at].textContent}, from ${figure(least)} to ${figure(most)}${this.unit}`;
    });
    return `${this.title}. ${each.join(". ")}.`;
  }

  #figure() {
    const keys = this.lines.map(({ name }, at) => {
      const key = element("span", { class: `key key-${at}` }, this.now[at]);
      if (this.lines.length > 1) key.append(` ${name}`);
      return key;
    });
    const title = element("span", { class: "title" }, this.title);
    const plot = element("div", { class: "plot" }, this.top, this.svg);
    return element("figure", {}, element("figcaption", {}, title, ...keys), plot);
  }
}

/** The points of one line in the chart's units, in runs without a gap. @param {readonly [number, number | null][]} points */
function runsOf(points, { now, span, most }) {
  const runs = [];
  let last = Number.NEGATIVE_INFINITY;
  for (const [at, value] of points) {
    if (value === null) continue;
    if (at - last > (now - at > OLD_AGE_MS ? MAX_OLD_GAP_MS : MAX_GAP_MS)) runs.push([]);
    runs.at(-1).push([WIDTH * (1 - (now - at) / span), HEIGHT * (1 - value / most)]);
    last = at;
  }
  return runs;
}

const lineOf = (run) => `M${run.map(([x, y]) => `${x.toFixed(1)} ${y.toFixed(1)}`).join("L")}`;
const areaOf = (run) => `${lineOf(run)}V${HEIGHT}H${run[0][0].toFixed(1)}Z`;
