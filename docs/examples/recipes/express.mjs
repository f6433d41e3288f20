// An Express application that publishes: PORT=8000 node express.mjs   (npm: express)
import express from "express";

const { MERCURE_URL, MERCURE_JWT, PORT } = process.env;
const app = express().use(express.json());

async function publish(topic, data) {
  const headers = { authorization: `Bearer ${MERCURE_JWT}` };
  const body = new URLSearchParams({ topic, data: JSON.stringify(data) });
  const response = await fetch(MERCURE_URL, { method: "POST", headers, body, signal: AbortSignal.timeout(5000) });
  if (!response.ok) throw new Error(`the hub answered ${response.status}: ${await response.text()}`);
  return response.text();
}

app.post("/rooms/:room/messages", async (request, response) => {
  response.status(201).json({ id: await publish(`rooms/${request.params.room}`, request.body) });
});
app.listen(Number(PORT), "127.0.0.1");
