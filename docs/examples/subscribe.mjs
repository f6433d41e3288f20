// Prints the events of a topic: node subscribe.mjs TOPIC [HUB] [TOKEN]   (npm: m2push)
import { connect } from "m2push/client";

const [topic, url = "http://localhost:6767/.well-known/mercure", token] = process.argv.slice(2);
const hub = connect({ url, topics: [topic] }, { token });
hub.addEventListener("gap", ({ detail }) => console.error(`events are missing: ${detail.reason}`));
hub.addEventListener("failure", ({ detail }) =>
  console.error(`${detail.reason}; next attempt in ${detail.retryInMs} ms`),
);
for await (const { data } of hub) console.log(data);
