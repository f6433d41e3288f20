/**
 * A crowd that comes back: clients with a Last-Event-ID from which many events are to be replayed, all at once, while
 * publishing goes on, beside clients that are live and should not notice. `node build/bench/replay.js [clients] [events]`.
 */
import { startDaemon } from "../test/support/daemon.js";
import { startMongrel2 } from "../test/support/mongrel2.js";
import { freePort } from "../test/support/ports.js";
import { daemonConfig, type Load, load, MEASURED_CORE, pin, publish, residentMegabytes } from "./tools.js";

const clients = Number(process.argv[2] ?? 1000);
const events = Number(process.argv[3] ?? 1000);

const mongrel2 = await startMongrel2({ settings: { "superpoll.max_fd": 20_000, "superpoll.hot_dividend": 2 } });
pin(mongrel2.pid, MEASURED_CORE);
const spec = `tcp://127.0.0.1:${await freePort()}`;
const daemon = startDaemon({ config: daemonConfig(mongrel2, spec) });
try {
  await daemon.logged(({ event }) => event === "link_live", "Mongrel2 to answer");
  pin(daemon.pid, MEASURED_CORE);
  const { port } = mongrel2;
  await publish(spec, { burst: events });
  const path = "/esupdates?last_event_id=earliest";
  const quiet = await load({ port, clients, seconds: 20, path, rate: 10_000 });
  const alone = await load({ port, clients: 100, seconds: 5 }, () =>
    publish(spec, { rate: 100, seconds: 4, first: events }),
  );
  const first = events + 400;
  const live = load({ port, clients: 100, seconds: 8, name: "live" }, () =>
    publish(spec, { rate: 100, seconds: 7, first }),
  );
  const back = await load({ port, clients, seconds: 6, path, rate: 10_000 });
  const during = await live;
  console.table([
    row("nobody publishes", quiet),
    row("100/s are published", back),
    row("live clients, alone", alone),
    row("live clients, beside those that come back", during),
  ]);
  console.log(
    `all is replayed after ${(quiet.connect_s + quiet.active_s).toFixed(2)} s; rss ${Math.round(residentMegabytes(daemon.pid))} MB`,
  );
} finally {
  await daemon.stop();
  await mongrel2.stop();
}

/** Publishers number their events; between two of them a few numbers may be left out. */
function row(what: string, { clients, alive, connect_s, min_events, missing, dup, out_of_order, lat_ms }: Load) {
  const counts = {
    clients,
    alive,
    "connect s": connect_s,
    "events each, at least": min_events,
    missing,
    dup,
    out_of_order,
  };
  return { what, ...counts, "p50 ms": lat_ms.p50, "p99 ms": lat_ms.p99 };
}
