// The backend of docs/build-a-chat.md: decides who may say what, and publishes it. `node chat-server.mjs` beside `npm start`.
import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";

const { HUB = "http://localhost:6767/.well-known/mercure", PORT = "3000", TOKEN = "data/publisher.jwt" } = process.env;
const token = readFileSync(TOKEN, "utf8").trim();
const MAX_TEXT_LENGTH = 500;

/** Your login goes here: who sends this request? A visitor without a name gets one, in a cookie. */
function authorOf(request, response) {
  const [, name = `guest-${randomBytes(2).toString("hex")}`] =
    /\bname=([\w-]+)/.exec(request.headers.cookie ?? "") ?? [];
  response.setHeader("Set-Cookie", `name=${name}; Path=/; HttpOnly; SameSite=Strict`);
  return name;
}

async function say(request, response) {
  let text = "";
  for await (const piece of request.setEncoding("utf8")) if (text.length <= MAX_TEXT_LENGTH) text += piece;
  if (text.trim() === "" || text.length > MAX_TEXT_LENGTH)
    return response.writeHead(400).end("a text of 1 to 500 characters");
  const data = JSON.stringify({ author: authorOf(request, response), text });
  const published = await fetch(HUB, {
    method: "POST",
    headers: { Authorization: `Bearer ${token}` },
    body: new URLSearchParams({ topic: "rooms/tea", data }),
  });
  if (published.ok) return response.writeHead(204).end();
  console.error(published.status, await published.text());
  return response.writeHead(502).end("the message could not be published");
}

const server = createServer((request, response) => {
  if (request.method !== "POST" || request.url !== "/api/say") return response.writeHead(404).end("not found");
  say(request, response).catch((error) => {
    console.error(error);
    response.writeHead(502).end("the message could not be published");
  });
});
server.listen(Number(PORT), "127.0.0.1", () => console.log(`http://127.0.0.1:${PORT}/`));
