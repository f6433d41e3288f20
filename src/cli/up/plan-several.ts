/** `m2push up --servers N`: several Mongrel2s, one daemon, and configurations of a proxy in front of them. */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import type { Config } from "../../config/schema.js";
import { type Mongrel2Files, requireConf } from "../../mongrel2/mongrel2-process.js";
import { webAddress } from "../preflight.js";
import { haproxyConf, nginxConf } from "./proxy-confs.js";
import { planServers, type ServerPlan } from "./server-confs.js";

/** What `up` runs. */
export interface UpPlan {
  /** Mongrel2's configuration as its owner wrote it. */
  readonly conf: string;
  readonly servers: readonly [Mongrel2Files, ...Mongrel2Files[]];
  /** Completes a loaded configuration. */
  readonly adjust: (config: Config) => Config;
  /** The message when all of them answer. */
  readonly message: (address: string) => string;
}

/** The proxies connect from here. */
const PROXY_ADDRESSES = ["127.0.0.1"];

/** Writes the configurations below run/. Throws "config_invalid" where the conf is missing or cannot be multiplied. */
export function planSeveral(conf: string, count: number, config: Config): UpPlan {
  requireConf(conf);
  const { host, port } = webAddress(conf);
  const plans = planServers(conf, readFileSync(conf, "utf8"), { count, port, config }) as [ServerPlan, ...ServerPlan[]];
  mkdirSync("run", { recursive: true });
  for (const { files, text } of plans) writeFileSync(files.conf, text);
  const proxy = { address: host, port, ports: plans.map((plan) => plan.port) };
  writeFileSync("run/nginx.conf", nginxConf(proxy));
  writeFileSync("run/haproxy.cfg", haproxyConf(proxy));
  return {
    conf,
    servers: plans.map(({ files }) => files) as [Mongrel2Files, ...Mongrel2Files[]],
    adjust: (read) => withServers(plans, read),
    message: (address) =>
      `${count} Mongrel2s answer on the ports ${port + 1} to ${port + count}; start a proxy in front of them here, with ` +
      `\`nginx -p . -c run/nginx.conf\` or \`haproxy -f run/haproxy.cfg\`, and open ${address}; stop with Ctrl-C`,
  };
}

function withServers(plans: readonly [ServerPlan, ...ServerPlan[]], config: Config): Config {
  const [first, ...more] = plans;
  const { stream } = config;
  const proxies = stream.trusted_proxies.length > 0 ? stream.trusted_proxies : PROXY_ADDRESSES;
  return {
    ...config,
    mongrel2: [first.server, ...more.map(({ server }) => server)],
    stream: { ...stream, trusted_proxies: proxies },
  };
}
