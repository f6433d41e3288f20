// The page of all events: shows the events of the connection that all its tabs share and the state of that connection, and publishes by a form.
import { connect } from "./client/index.js";

const STREAM = "/esupdates";
const HUB = "/.well-known/mercure";
/** The list keeps the newest ones. */
const MAX_SHOWN_EVENTS = 200;

const at = (id) => document.getElementById(id);
const facts = { events: 0, reconnects: 0, wasOpen: false, lost: false, paused: false };
/** @type {import("./client/index.js").Hub | undefined} */
let hub;

/** Adds a line at the top of the list. Data is set as text, never as HTML. */
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
  while (at("events").children.length > MAX_SHOWN_EVENTS) at("events").lastElementChild.remove();
}

function received(event) {
  facts.events++;
  at("count").textContent = facts.events.toLocaleString();
  if (event.lastEventId) at("last-id").textContent = event.lastEventId;
  show(event.data, "data");
}

/** The hub could not replay everything: shows that events are missing. */
function gap({ detail: { reason } }) {
  show(`Events before this one are missing (${reason}).`, "gap");
}

/** Subscribes to the topics, or to all public events where there are none. The page's address keeps the topics. */
function follow(topics) {
  hub?.close();
  hub = connect({ url: STREAM, topics });
  Object.assign(facts, { wasOpen: false, lost: false });
  at("last-id").textContent = "none";
  hub.addEventListener("message", received);
  hub.addEventListener("gap", gap);
  hub.addEventListener("state", state);
  state();
}

function state() {
  const { state: name, shared } = hub;
  at("state").textContent = name;
  at("state").dataset.state = name;
  at("connection").textContent = shared ? "shared by all tabs" : "this tab only";
  if (name === "open" && facts.lost) at("reconnects").textContent = (++facts.reconnects).toLocaleString();
  facts.lost = name !== "open" && (facts.lost || facts.wasOpen);
  facts.wasOpen ||= name === "open";
}

/** The message for a response to a publication. */
async function outcome(response, token) {
  const text = (await response.text()).trim();
  if (response.ok) return `Published with id ${text}`;
  if (response.status === 401) return token ? "The token is not accepted." : "A token is required.";
  if (response.status === 403) return "The token does not grant this topic.";
  return `Rejected: ${text || response.status}`;
}

async function publish(event) {
  event.preventDefault();
  const token = at("token").value.trim();
  const say = (text) => {
    at("published").textContent = text;
  };
  say("Publishing…");
  try {
    const headers = token ? { Authorization: `Bearer ${token}` } : {};
    const body = new URLSearchParams({ topic: at("topic").value, data: at("data").value });
    say(await outcome(await fetch(HUB, { method: "POST", headers, body }), token));
  } catch {
    say("The hub does not respond.");
  }
}

at("publish").addEventListener("submit", publish);
at("follow").addEventListener("submit", (event) => {
  event.preventDefault();
  const topics = at("topics").value.split(/\s+/).filter(Boolean);
  const query = new URLSearchParams(topics.map((topic) => ["topic", topic]));
  history.replaceState(null, "", topics.length > 0 ? `?${query}` : location.pathname);
  follow(topics);
});
at("pause").addEventListener("click", ({ currentTarget: button }) => {
  facts.paused = !facts.paused;
  button.setAttribute("aria-pressed", String(facts.paused));
  button.textContent = facts.paused ? "Resume" : "Pause";
});
at("clear").addEventListener("click", () => at("events").replaceChildren());

if ("body" in Response.prototype) {
  const topics = new URLSearchParams(location.search).getAll("topic");
  at("topics").value = topics.join(" ");
  follow(topics);
} else {
  at("live").hidden = true;
  at("unsupported").hidden = false;
}
