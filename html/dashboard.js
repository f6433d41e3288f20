// The operator's dashboard: reads the daemon's feed (a report a second, see src/admin/feed.ts) and shows it. The token, where
// one is asked for, goes in a header and never in an address. Whoever does not see the charts move is told of what matters
// (role="status") and has the tables.
import { Chart, element, figure, minutesOf, SPAN } from "./chart.js";

/** A report comes each second: without one for this long the connection is given up; milliseconds. */
const SILENCE = 5000;
/** Before trying again, milliseconds: the first time, and at most. */
const WAIT = { first: 1000, most: 10_000 };
const VISITS_SHOWN = 50;
/** From row to row of the table of figures, milliseconds. */
const ROW_EVERY = 10_000;
const TOKEN = "m2push-token";

const at = (id) => document.getElementById(id);
const feed = document.documentElement.dataset.feed;
/** @type {{ at: number, status: object }[]} */
let samples = [];
let visits = [];
let lastId = "";
let paused = false;
let known = { words: "", servers: new Map() };

const slowest = (of) => (sample) => {
  const values = sample.status.servers.map(of).filter((value) => value !== null);
  return values.length > 0 ? Math.max(...values) : null;
};
const rate = (name) => (sample) => sample.status.perSecond[name];
const FIGURES = {
  clients: { name: "clients", of: ({ status }) => status.clients },
  events: { name: "events/s", of: rate("publications") },
  deliveries: { name: "deliveries/s", of: rate("deliveries") },
  fence: { name: "fence round trip", unit: ", ms", of: slowest((server) => server.fenceMs) },
  delay: { name: "publish to fence", unit: ", ms", of: slowest((server) => server.latencyMs) },
  connects: { name: "connects", unit: "/s", of: rate("connects") },
  disconnects: { name: "disconnects", unit: "/s", of: rate("disconnects") },
  lag: { name: "event loop lag", unit: ", ms", of: ({ status }) => status.lagMs },
};
const charts = [
  new Chart("Clients", "", [FIGURES.clients]),
  new Chart("Events a second", "", [FIGURES.events]),
  new Chart("Deliveries a second", "", [FIGURES.deliveries]),
  new Chart("Delay, ms", "", [FIGURES.fence, FIGURES.delay]),
  new Chart("Connects and disconnects a second", "", [FIGURES.connects, FIGURES.disconnects]),
  new Chart("Event loop lag, ms", "", [FIGURES.lag]),
];

// ---- The feed --------------------------------------------------------------------------------------------------------------

/** Text of the events of a stream, with their ids: what this feed needs of the standard. */
async function* eventsOf(body) {
  let rest = "";
  let event = { id: "", data: "" };
  for await (const text of pieces(body.pipeThrough(new TextDecoderStream()))) {
    const lines = (rest + text).split("\n");
    rest = lines.pop();
    for (const line of lines) {
      const [, name, value] = /^(\w+): ?(.*)$/.exec(line) ?? [];
      if (name === "id" || name === "data") event[name] += value;
      if (line !== "") continue;
      if (event.data !== "") yield event;
      event = { id: "", data: "" };
    }
  }
}

/** Not every browser lets one iterate over a stream. */
async function* pieces(stream) {
  const reader = stream.getReader();
  for (let piece = await reader.read(); !piece.done; piece = await reader.read()) yield piece.value;
}

/** Reads until the connection ends. Returns whether anything came; throws what a person should read. */
async function watch() {
  const silence = new AbortController();
  const token = sessionStorage.getItem(TOKEN);
  const headers = { ...(token && { Authorization: `Bearer ${token}` }), ...(lastId && { "Last-Event-ID": lastId }) };
  let timer = setTimeout(() => silence.abort(), SILENCE);
  try {
    const response = await fetch("events", { headers, cache: "no-store", signal: silence.signal });
    if (response.status === 401) return "token";
    if (!response.ok) throw new Error((await response.text()).trim());
    for await (const { id, data } of eventsOf(response.body)) {
      clearTimeout(timer);
      timer = setTimeout(() => silence.abort(), SILENCE);
      lastId = id;
      take(JSON.parse(data));
    }
    return "ended";
  } finally {
    clearTimeout(timer);
  }
}

/** Watches for ever; a daemon that is away is waited for. */
async function follow() {
  at("enter").hidden = true;
  for (let wait = WAIT.first; ; wait = Math.min(2 * wait, WAIT.most)) {
    const before = samples.length;
    const why = await watch().catch((error) =>
      error instanceof TypeError || error.name === "AbortError" ? "ended" : error.message,
    );
    if (why === "token") return ask("This token is not accepted.");
    if (samples.length > before) wait = WAIT.first;
    known = { words: "", servers: new Map() };
    state("connecting");
    say(why === "ended" ? "The daemon does not answer: trying again." : why);
    await new Promise((resolve) => setTimeout(resolve, wait));
  }
}

function ask(why) {
  sessionStorage.removeItem(TOKEN);
  say(why);
  at("board").hidden = true;
  at("enter").hidden = false;
  at("token").focus();
}

// ---- What it says ----------------------------------------------------------------------------------------------------------

/** For everybody, and read out: only what changes seldom. */
function say(text, reasons = []) {
  const words = [text, ...reasons].join("\n");
  if (at("said").dataset.words === words) return;
  at("said").dataset.words = words;
  const list = element("ul", { class: "notice" }, ...reasons.map((reason) => element("li", {}, reason)));
  at("said").replaceChildren(element("p", {}, text), ...(reasons.length > 0 ? [list] : []));
}

function take({ status, visits: news, skipped }) {
  const now = Date.now();
  samples = [...samples.filter((sample) => now - sample.at < SPAN), { at: now, status }];
  if (skipped > 0) news.unshift({ event: "skipped", skipped });
  visits = [...news.reverse(), ...visits].slice(0, VISITS_SHOWN);
  announce(status);
  at("board").hidden = false;
  if (!paused) show(now, news.length > 0);
}

/** Tells of what is new, in words. */
function announce({ ready, problems, servers }) {
  const states = servers.map((server) => [server.name, stateOf(server)]);
  const changed = states.filter(([name, state]) => known.servers.get(name) !== state);
  const words = ready ? "ready" : problems.join("\n");
  if (words !== known.words || changed.length > 0) {
    const told = changed.map(([name, state]) => `${name} is ${state}`).join(", ");
    if (ready) say(`The daemon is ready${told && `; ${told}`}.`);
    else say("The daemon is not ready:", problems);
  }
  known = { words, servers: new Map(states) };
}

const stateOf = ({ live, silent }) => (live ? (silent ? "silent" : "live") : "down");

// ---- What it shows ---------------------------------------------------------------------------------------------------------

function state(name) {
  const field = at("state");
  if (!field) return;
  field.textContent = name;
  field.dataset.state = name === "ready" ? "open" : name === "connecting" ? "connecting" : "closed";
}

function show(now, hasNews) {
  const { status } = samples.at(-1);
  facts(status);
  const minutes = minutesOf(samples, now);
  at("charts-title").textContent = minutes === 1 ? "The last minute" : `The last ${minutes} minutes`;
  for (const chart of charts) chart.draw(samples, now);
  fill(at("servers"), SERVER, status.servers);
  if (hasNews || at("visits").rows.length === 0) fill(at("visits"), VISIT, visits);
  at("nobody").hidden = visits.length > 0;
  if (at("figures").open) figures(now);
}

function facts(status) {
  const { clients, behind, perSecond, uptimeSeconds, history, m2push, pid } = status;
  const rows = [
    ["Clients", figure(clients)],
    ["Catching up", figure(behind)],
    ["Events/s", figure(perSecond.publications)],
    ["Deliveries/s", figure(perSecond.deliveries)],
    ["To Mongrel2", `${bytes(perSecond.bytes)}/s`],
    ["History", history ? `${figure(history.count)} events` : "not open"],
    ["Up", duration(uptimeSeconds)],
  ];
  const field = element("dd", { id: "state" });
  const cells = rows.map(([name, value]) => element("div", {}, element("dt", {}, name), element("dd", {}, value)));
  at("facts").replaceChildren(element("div", {}, element("dt", {}, "State"), field), ...cells);
  state(status.ready ? "ready" : "not ready");
  at("about").textContent = `m2push ${m2push}, process ${pid}: what it does, second by second.`;
}

/** A cell: what it shows, and whether that is a number. null is a number that is not known, undefined nothing at all. */
function cell(value) {
  if (value === null || typeof value === "number") return [figure(value), true];
  return [value ?? "", value === undefined];
}

/**
 * Replaces a table's rows; the first cell of a row is its head. Columns that hold nothing but numbers stand to the right.
 * @param {readonly [name: string, of: (item: any) => string | number | null | undefined | Node][]} columns
 */
function fill(table, columns, items) {
  const rows = items.map((item) => columns.map(([, of]) => cell(of(item))));
  const aligned = columns.map((_, at) => ({ class: rows.every((row) => row[at][1]) ? "number" : "text" }));
  const top = columns.map(([name], at) => element("th", { scope: "col", ...aligned[at] }, name));
  const lines = rows.map(([[head], ...rest]) =>
    element(
      "tr",
      {},
      element("th", { scope: "row" }, head),
      ...rest.map(([shown], at) => element("td", aligned[at + 1], shown)),
    ),
  );
  table.replaceChildren(element("thead", {}, element("tr", {}, ...top)), element("tbody", {}, ...lines));
}

const MARK = { live: "open", silent: "connecting", down: "closed" };
const SERVER = [
  ["Server", ({ name }) => name],
  ["State", (server) => element("span", { "data-state": MARK[stateOf(server)] }, stateOf(server))],
  ["Clients", ({ clients }) => clients],
  ["Catching up", ({ behind }) => behind],
  ["Queued", ({ waiting }) => waiting],
  ["Deliveries/s", ({ deliveriesPerSecond }) => deliveriesPerSecond],
  ["Fence, ms", ({ fenceMs }) => fenceMs],
  ["Delay, ms", ({ latencyMs }) => latencyMs],
  ["Times lost", ({ losses }) => losses],
];

const WHAT = { connect: "came", adopt: "kept", disconnect: "went" };
const VISIT = [
  ["When", ({ at: when }) => (when ? new Date(when).toLocaleTimeString() : "…")],
  ["What", ({ event, skipped }) => (WHAT[event] ? element("span", { class: event }, WHAT[event]) : `${skipped} more`)],
  ["Why", ({ reason, seconds }) => (reason === undefined ? "" : `${reason} after ${duration(seconds)}`)],
  ["From", ({ remote }) => remote ?? ""],
  ["Topics", ({ topics = [] }) => topics.join(" ")],
  ["Client", ({ server, client }) => (server === undefined ? "" : `${server}/${client}`)],
  ["Clients", ({ clients }) => clients],
];

const MOMENT = [
  ["Time", (sample) => new Date(sample.at).toLocaleTimeString()],
  ...Object.values(FIGURES).map(({ name, unit = "", of }) => [name + unit, of]),
];
/** One row for each ten seconds, the newest first. */
function figures(now) {
  const rows = [];
  for (let end = now; end > now - SPAN; end -= ROW_EVERY) {
    const sample = samples.findLast((it) => it.at <= end && it.at > end - ROW_EVERY);
    if (sample) rows.push(sample);
  }
  fill(at("figures").querySelector("table"), MOMENT, rows);
}

function bytes(value) {
  const unit = value < 1000 ? 0 : value < 1e6 ? 1 : value < 1e9 ? 2 : 3;
  return `${figure(value / 1000 ** unit)} ${["B", "kB", "MB", "GB"][unit]}`;
}

/** The two largest units. */
function duration(seconds) {
  const whole = Math.floor(seconds);
  const parts = [Math.floor(whole / 86_400), Math.floor(whole / 3600) % 24, Math.floor(whole / 60) % 60, whole % 60];
  const first = parts.findIndex((part) => part > 0);
  const from = first < 0 ? 3 : first;
  return parts
    .map((part, unit) => `${part}${"dhms"[unit]}`)
    .slice(from, from + 2)
    .join(" ");
}

// ---- Begin -----------------------------------------------------------------------------------------------------------------

at("charts").append(...charts.map((chart) => chart.figure));
at("figures").addEventListener("toggle", () => samples.length > 0 && figures(Date.now()));
at("pause").addEventListener("click", ({ currentTarget: button }) => {
  paused = !paused;
  button.setAttribute("aria-pressed", String(paused));
  button.textContent = paused ? "Go on" : "Pause";
  if (!paused && samples.length > 0) show(Date.now(), true);
});
at("enter").addEventListener("submit", (event) => {
  event.preventDefault();
  sessionStorage.setItem(TOKEN, at("token").value.trim());
  at("token").value = "";
  say("");
  follow();
});

if (feed === "none") at("unfed").hidden = false;
else if (feed === "token" && !sessionStorage.getItem(TOKEN)) ask("");
else follow();
