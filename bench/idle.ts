/**
 * Streams on which nothing is sent: do they outlive Mongrel2's idle limits? Its limits at their strictest (min_ping 50 s, a
 * tick each second, the rates at their default), heartbeat and beacon off: only the daemon's keep-alives are left.
 * `node build/bench/idle.js [seconds] [streams]`; ends with exit code 1 when a stream was closed or did not hear the event
 * that is published at the end.
 */
import { setTimeout as pause } from "node:timers/promises";
import { type Daemon, startDaemon } from "../test/support/daemon.js";
import { type Mongrel2, startMongrel2 } from "../test/support/mongrel2.js";
import { freePort } from "../test/support/ports.js";
import { Publisher } from "../test/support/publisher.js";
import { openStream, type SseClient } from "../test/support/sse-client.js";
import { daemonConfig } from "./tools.js";

const seconds = Number(process.argv[2] ?? 120);
const streams = Number(process.argv[3] ?? 300);
const LIMITS = { "limits.min_ping": 50, "limits.tick_timer": 1 };
/** Between two connects, milliseconds: the streams are not all of one age. */
const APART = 20;

async function measure(mongrel2: Mongrel2, daemon: Daemon, spec: string): Promise<Record<string, unknown>> {
  await daemon.logged(({ event }) => event === "link_live", "Mongrel2 to answer");
  const clients: SseClient[] = [];
  while (clients.length < streams) {
    clients.push(await openStream(`${mongrel2.url}/esupdates`));
    await pause(APART);
  }
  await pause(seconds * 1000);
  const open = clients.filter(({ isClosed }) => !isClosed);
  const publisher = new Publisher(spec);
  await publisher.publish("are you there?");
  const heard = await Promise.allSettled(open.map((client) => client.next()));
  publisher.close();
  await Promise.all(clients.map((client) => client.close()));
  return {
    streams,
    seconds,
    "still open": open.length,
    "heard an event then": heard.filter(({ status }) => status === "fulfilled").length,
    "disconnects in the log": daemon.log.filter(({ reason }) => reason === "left" || reason === "found dead").length,
  };
}

const mongrel2 = await startMongrel2({ settings: LIMITS });
const spec = `tcp://127.0.0.1:${await freePort()}`;
const daemon = startDaemon({ config: daemonConfig(mongrel2, spec, '[stream]\nheartbeat = "0"\n') });
try {
  const row = await measure(mongrel2, daemon, spec);
  console.table([row]);
  if (row["heard an event then"] !== streams) process.exitCode = 1;
} finally {
  await daemon.stop();
  await mongrel2.stop();
}
