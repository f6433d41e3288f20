// Notifications. One stream has two topics: everyone's, and this user's.
import { connect } from "../client/index.js";
import { publish } from "./publish.js";

const user = new URLSearchParams(location.search).get("user") ?? "ada";
const topic = `demo/users/${user}`;
const list = document.querySelector("#list");
const [form] = document.forms;

// All windows of a user share one connection: HTTP/1.1 allows six.
const hub = connect({ url: "/esupdates", topics: ["demo/news", topic] });
for (const type of ["info", "success", "warning"])
  hub.addEventListener(type, ({ data }) => {
    const line = document.createElement("li");
    line.className = type;
    line.append(data);
    list.prepend(line);
    document.title = `(${list.children.length}) Notifications`;
  });

form.addEventListener("submit", (event) => {
  event.preventDefault();
  const { to, type, text } = form.elements;
  void publish(to.value || topic, text.value, { type: type.value, ttl: "60" });
});
