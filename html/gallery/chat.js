// A chat. Each message is an event of one topic.
import { connect } from "../client/index.js";
import { publish } from "./publish.js";

const topic = "demo/chat";
const messages = document.querySelector("#messages");
const [form] = document.forms;

// A window opens with the last 50 messages.
const hub = connect({ url: "/esupdates", topics: [topic], last: 50 });
hub.addEventListener("message", ({ data }) => {
  const [, name = "somebody", text] = /^(?:(.*?): )?(.*)$/s.exec(data);
  const line = document.createElement("li");
  const author = document.createElement("b");
  author.append(name);
  line.append(author, text); // text is never HTML
  messages.append(line);
  messages.scrollTop = messages.scrollHeight;
});
// Messages are lost: begin again with the last 50.
hub.addEventListener("gap", () => location.reload());

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const { name, text } = form.elements;
  if (await publish(topic, `${name.value}: ${text.value}`)) text.value = "";
});
