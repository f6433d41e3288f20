// A model's answer. It has a topic of its own; each word is an event.
import { connect } from "../client/index.js";

const [answer, state] = document.querySelectorAll("#answer, #state");
const [form] = document.forms;
let hub;

function follow(topic) {
  hub?.close();
  answer.replaceChildren();
  // "earliest": the stream begins with everything that is stored.
  hub = connect({
    url: "/esupdates",
    topics: [topic],
    lastEventId: "earliest",
  });
  hub.addEventListener("message", ({ data }) => answer.append(data));
  hub.addEventListener("done", () => hub.close()); // the last event
  hub.addEventListener("state", ({ detail }) => {
    state.textContent = detail === "closed" ? "complete" : "answering";
  });
}

// The address keeps the topic, so that a reload finds it.
if (location.hash) follow(location.hash.slice(1));
form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const topic = `demo/answers/${crypto.randomUUID()}`;
  location.hash = topic;
  follow(topic);
  const { active } = await navigator.serviceWorker.ready; // model.js
  active.postMessage({ topic, question: form.elements.question.value });
});
