// Receives webhooks of m2push and keeps the list of visitors who are there. Needs Node.js 20 and no package.
//
// WEBHOOK_SECRET=whsec_... node webhook.mjs 8080
import { createHmac, timingSafeEqual } from "node:crypto";
import { createServer } from "node:http";
import { text } from "node:stream/consumers";

const key = Buffer.from(process.env.WEBHOOK_SECRET.replace(/^whsec_/, ""), "base64");
const TOLERANCE_SECONDS = 300;

const present = new Map(); // session -> event; a database in a real backend
const seen = new Set(); // ids of events: an event may come twice

function isSigned(headers, body) {
  const { "webhook-id": id, "webhook-timestamp": timestamp, "webhook-signature": given = "" } = headers;
  if (!(Math.abs(Date.now() / 1000 - Number(timestamp)) <= TOLERANCE_SECONDS)) return false;
  const signature = createHmac("sha256", key).update(`${id}.${timestamp}.${body}`).digest("base64");
  const expected = Buffer.from(`v1,${signature}`);
  const isExpected = (one) => one.length === expected.length && timingSafeEqual(one, expected);
  return given.split(" ").some((one) => isExpected(Buffer.from(one)));
}

function handle(event) {
  if (seen.has(event.id)) return;
  seen.add(event.id);
  if (event.kind === "connect" || event.kind === "adopt") present.set(event.session, event);
  else if (event.kind === "disconnect") present.delete(event.session);
  else if (event.kind === "events_lost") console.log(`${event.count} events were lost: GET /clients has the list`);
  console.log(event.kind, event.subject ?? event.remote ?? "", `present: ${present.size}`);
}

async function receive(request, response) {
  const body = await text(request);
  const isGenuine = isSigned(request.headers, body);
  if (isGenuine) for (const event of JSON.parse(body).data.events) handle(event);
  response.writeHead(isGenuine ? 204 : 401).end();
}

const server = createServer((request, response) => {
  receive(request, response).catch((error) => {
    console.error(error); // the sender broke off, or an event could not be handled: it comes again
    response.destroy();
  });
});
server.listen(Number(process.argv[2]), "127.0.0.1", () => console.log(`listening on ${server.address().port}`));
