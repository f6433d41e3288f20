/**
 * Kills of Mongrel2 behind a ZeroMQ proxy under private events, with 5,000 streams that are back as soon as sockets allow:
 * `npm run soak:restart -- [streams] [kills]`. Ends with exit code 1 at the first private event that reaches another connection.
 */
import { SECRET } from "../e2e/mercure.js";
import { startPair } from "../support/pair.js";
import { restartUnderPrivateEvents } from "../support/private-restart.js";
import { ZmqProxies } from "../support/zmq-proxy.js";

const streams = Number(process.argv[2] ?? 5000);
const kills = Number(process.argv[3] ?? 5);

/** Where fewer requests may wait for a handler than come back at once, Mongrel2 answers the others 502. */
const SETTINGS = { "superpoll.max_fd": 20_480, "superpoll.hot_dividend": 2 };

const ends: (() => unknown)[] = [];
const after = (end: () => unknown) => ends.push(end);
try {
  const pair = await startPair(
    { after: after as never },
    {
      settings: SETTINGS,
      config: { auth: { subscriber_key: SECRET }, stream: { max_clients: streams + 100 } },
      async server(mongrel2) {
        const proxies = await ZmqProxies.before(mongrel2);
        after(() => proxies.close());
        return { send_spec: proxies.sendSpec, recv_spec: proxies.recvSpec, bind: true };
      },
    },
  );
  for (const { backMs, servedMs, published } of await restartUnderPrivateEvents(pair, streams, kills)) {
    const [back, served] = [Math.round(backMs), Math.round(servedMs)];
    console.log(`${streams} streams: back after ${back} ms, served after ${served} ms; ${published} private events`);
  }
  console.log("no private event reached another connection");
} catch (error) {
  console.error(error);
  process.exitCode = 1;
} finally {
  for (const end of ends.reverse()) await end();
}
