/**
 * A churn of 100,000 connections around old ones: `npm run soak:churn -- [connections]`, three times: to Mongrel2 itself, through nginx
 * with a pool of upstream connections, and through a ZeroMQ proxy with a control port. Ends with exit code 1 at the first stream that
 * is cut, event that is lost or doubled, or epoch that ends.
 */
import { churn } from "../support/churn.js";
import { Nginx } from "../support/nginx.js";
import { type Pair, type PairOptions, startPair } from "../support/pair.js";
import { ZmqProxies } from "../support/zmq-proxy.js";

const visitors = Number(process.argv[2] ?? 100_000);
type After = (end: () => unknown) => void;

interface Way {
  readonly options?: (after: After) => PairOptions;
  /** Where clients connect; absent = Mongrel2's port. */
  readonly port?: (pair: Pair, after: After) => Promise<number>;
}

const WAYS: Readonly<Record<string, Way>> = {
  direct: {},
  nginx: {
    async port({ mongrel2 }, after) {
      const nginx = await Nginx.before(mongrel2);
      after(() => nginx.stop());
      return nginx.port;
    },
  },
  "ZeroMQ proxy": {
    options: (after) => ({
      async server(mongrel2) {
        const proxies = await ZmqProxies.before(mongrel2);
        after(() => proxies.close());
        return { send_spec: proxies.sendSpec, recv_spec: proxies.recvSpec, bind: true };
      },
    }),
  },
};

async function run(name: string, { options, port }: Way): Promise<void> {
  const ends: (() => unknown)[] = [];
  const after: After = (end) => ends.push(end);
  const began = performance.now();
  try {
    const config = { auth: { allow_publish_from: ["127.0.0.1"] } };
    const pair = await startPair({ after: after as never }, { ...options?.(after), config });
    const front = await port?.(pair, after);
    const events = await churn(pair, { visitors, after, ...(front !== undefined && { port: front }) });
    const seconds = Math.round((performance.now() - began) / 1000);
    console.log(`${name}: ${visitors} connections, ${events} events, ${seconds} s; no epoch lost, no stream cut`);
  } finally {
    for (const end of ends.reverse()) await end();
  }
}

try {
  for (const [name, way] of Object.entries(WAYS)) await run(name, way);
} catch (error) {
  console.error(error);
  process.exitCode = 1;
}
