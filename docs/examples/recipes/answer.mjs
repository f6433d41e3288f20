// Publishes the pieces of a model's answer as they come, and ends its stream: some-model | node answer.mjs TOPIC
// Pieces that come while the hub is asked go together, so a fast model never waits and makes no more requests than the hub answers.
const { MERCURE_URL, MERCURE_JWT } = process.env;
const [topic] = process.argv.slice(2);
const headers = { authorization: `Bearer ${MERCURE_JWT}` };

async function publish(fields) {
  const body = new URLSearchParams({ topic, ttl: "1h", ...fields });
  const response = await fetch(MERCURE_URL, { method: "POST", headers, body });
  if (!response.ok) throw new Error(`the hub answered ${response.status}: ${await response.text()}`);
}

let [text, sending] = ["", undefined];
const send = async () => {
  while (text) {
    const data = text;
    text = "";
    await publish({ data });
  }
  sending = undefined;
};
for await (const piece of process.stdin.setEncoding("utf8")) {
  text += piece;
  sending ??= send();
}
await sending;
await publish({ data: "", type: "done", final: "on" });
