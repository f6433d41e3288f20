// The demo page: one EventSource, what it says, and how it is.
const STREAM = "/esupdates";
const SHOWN = 200;

const at = (id) => document.getElementById(id);
const facts = { events: 0, reconnects: 0, lastId: "", lost: false, paused: false };

function state(name) {
  const field = at("state");
  field.textContent = name;
  field.dataset.state = name;
}

/** Adds a line on top; the text is only ever text. */
function show(text, kind) {
  if (facts.paused) return;
  const line = document.createElement("li");
  const time = document.createElement("time");
  const data = document.createElement("span");
  time.textContent = new Date().toLocaleTimeString();
  data.className = kind;
  data.textContent = text;
  line.append(time, data);
  at("events").prepend(line);
  while (at("events").children.length > SHOWN) at("events").lastElementChild.remove();
}

function received(event) {
  facts.events++;
  at("count").textContent = facts.events.toLocaleString();
  facts.lastId = event.lastEventId;
  if (facts.lastId) at("last-id").textContent = facts.lastId;
  show(event.data, "data");
}

/** What the hub could not give back: said in the stream, so that no page believes it has seen everything. */
function gap(event) {
  const { reason } = JSON.parse(event.data);
  show(`Some events before this one are gone (${reason}).`, "gap");
}

function open() {
  if (facts.lost) at("reconnects").textContent = (++facts.reconnects).toLocaleString();
  facts.lost = false;
  state("open");
}

/** EventSource comes back by itself, unless the answer was not a stream: then it stays closed. */
function failed(source) {
  facts.lost = true;
  state(source.readyState === EventSource.CLOSED ? "closed" : "connecting");
  if (source.readyState === EventSource.CLOSED) setTimeout(listen, 5000);
}

/** A new EventSource knows nothing of the last one's id: the address tells it. */
function listen() {
  const source = new EventSource(facts.lastId ? `${STREAM}?lastEventID=${encodeURIComponent(facts.lastId)}` : STREAM);
  source.addEventListener("open", open);
  source.addEventListener("message", received);
  source.addEventListener("m2push-gap", gap);
  source.addEventListener("error", () => failed(source));
}

at("pause").addEventListener("click", (event) => {
  facts.paused = !facts.paused;
  event.target.setAttribute("aria-pressed", String(facts.paused));
  event.target.textContent = facts.paused ? "Go on" : "Pause";
});
at("clear").addEventListener("click", () => at("events").replaceChildren());

if ("EventSource" in window) listen();
else {
  at("facts").hidden = true;
  at("unsupported").hidden = false;
}
