/**
 * An upgrade and a downgrade with open streams: `npm run soak:versions -- OLD`, where OLD is dist/cli/main.js of another version (built in a
 * checkout of its own). Both run in turn on one data folder behind one Mongrel2; prints what became of streams, ids and the history, and
 * ends with exit code 1 where a step that must hold does not. What holds between two versions is in docs/operating.md.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { type Daemon, startDaemon } from "../support/daemon.js";
import { startMongrel2 } from "../support/mongrel2.js";
import { freePort } from "../support/ports.js";
import { PROJECT, removeDirectory, temporaryDirectory } from "../support/processes.js";
import { Publisher } from "../support/publisher.js";
import { openStream, type SseClient } from "../support/sse-client.js";

const [oldProgram] = process.argv.slice(2);
if (oldProgram === undefined) throw new Error("expected the path of another version's dist/cli/main.js");
const newProgram = join(PROJECT, "dist/cli/main.js");

const ends: (() => unknown)[] = [];
const mongrel2 = await startMongrel2({ settings: { "limits.tick_timer": 1 } });
ends.push(() => mongrel2.stop());
const dir = temporaryDirectory();
ends.push(() => removeDirectory(dir));
const spec = `tcp://127.0.0.1:${await freePort()}`;
const config = `[[mongrel2]]
send_spec = "${mongrel2.sendSpec}"
recv_spec = "${mongrel2.recvSpec}"
send_ident = "${mongrel2.sendIdent}"
control = "${mongrel2.controlSpec}"
[beacon]
interval = "0"
[publish]
zmq = "${spec}"
[history]
path = "data"
[admin]
listen = ""
`;
const publisher = new Publisher(spec);
ends.push(() => publisher.close());

/** Mongrel2 is served: the name of the event is that of either version. */
const isLive = ({ event, msg }: { event?: unknown; msg?: unknown }) =>
  ["link_live", "live"].includes(String(event)) || msg === "Mongrel2 connection established";

let daemon!: Daemon;
async function start(program: string, ...options: string[]): Promise<void> {
  daemon = startDaemon({ config, dir, program, command: ["serve", ...options] });
  await daemon.logged(isLive, "Mongrel2 to answer");
}
const stop = async () => assert.equal(await daemon.stop(), 0);

const data = (client: SseClient) =>
  client.events.filter(({ type }) => !type?.startsWith("m2push-")).map((it) => it.data);
const publish = (text: string, fields?: Readonly<Record<string, unknown>>) => publisher.publish(text, "t", fields);
const open = async (lastEventId?: string) => {
  const client = await openStream(`${mongrel2.url}/esupdates`, lastEventId ? { "last-event-id": lastEventId } : {});
  ends.push(() => client.close());
  return client;
};
const until = (client: SseClient, last: string) => client.until((it) => data(it).includes(last), `the event ${last}`);
/** Ids of position, whatever their form: "#epoch.offset" and "epoch.offset". */
const offsetOf = (id: string | undefined) => Number(id?.split(".")[1]);
const epochOf = (id: string | undefined) => id?.replace("#", "").split(".")[0];
const report = (text: string) => console.log(text);

/** Runs the next version while a stream is open and another browser is away; returns what the two received. */
async function change(from: string, to: string, name: string) {
  const [stays, leaves] = [await open(), await open()];
  await stays.until(({ lastEventId }) => lastEventId !== "", "a first position");
  await publish(`${name} before`);
  for (const client of [stays, leaves]) await until(client, `${name} before`);
  const left = leaves.lastEventId;
  await leaves.close();
  await publish(`${name} missed`, { id: `${name}-own-id` });
  await until(stays, `${name} missed`);
  const seconds = 4; // as long as Mongrel2's clock needs to prove that it is the same process
  await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
  await stop();
  await start(to);
  await publish(`${name} after`);
  const back = await open(left);
  await until(back, `${name} after`);
  await Promise.race([until(stays, `${name} after`), stays.closed]);
  report(`${name}: ${from} -> ${to}`);
  report(
    `  open stream: ${stays.isClosed ? "closed, its browser reconnects" : "stayed open"}: ${data(stays).join(", ")}`,
  );
  report(`  returned with ${left}: ${back.events.map((it) => it.type ?? it.data).join(", ") || data(back).join(", ")}`);
  report(`  newest id: ${back.lastEventId}`);
  return { stays, back, left };
}

try {
  await start(oldProgram);
  const first = await change("old", newProgram, "upgrade");
  assert.deepEqual(data(first.stays), ["upgrade before", "upgrade missed", "upgrade after"]);
  assert.deepEqual(data(first.back), ["upgrade missed", "upgrade after"], "every id of the old version counts");
  assert.equal(epochOf(first.back.lastEventId), epochOf(first.left), "the history is the same one");
  assert.ok(offsetOf(first.back.lastEventId) > offsetOf(first.left));

  // An older version need not know the record of clients: streams are closed, and browsers return with their ids.
  await stop();
  await start(newProgram, "--drain");
  const second = await change("new", oldProgram, "downgrade");
  assert.equal(epochOf(second.back.lastEventId), epochOf(first.left), "the history is still the same one");
  await stop();

  await start(newProgram);
  await publish("expires", { ttl: 600 });
  const client = await open();
  await publish("last");
  await until(client, "last");
  await stop();
  const refused = startDaemon({ config, dir, program: oldProgram });
  const { code } = await refused.exited;
  report(
    `after an event with a ttl, the old version ends with ${code}: ${refused.stderr.trim() || refused.log.at(-1)?.msg}`,
  );
  assert.notEqual(code, 0, "a version that is too old for the data does not start");
} catch (error) {
  console.error(error);
  for (const line of daemon.log) console.error(JSON.stringify(line));
  process.exitCode = 1;
} finally {
  for (const end of ends.reverse()) await end();
}
