/** Compares `[hub] origin`, where browsers find the hub, with a Server that has a route to the Handler. */
import type { Config } from "../../config/schema.js";
import type { HandlerRow, HostRow, Mongrel2Database, ServerRow } from "../../mongrel2/mongrel2-database.js";
import { missingRoutes } from "./check-routes.js";
import { databaseFindings } from "./database-findings.js";
import { type Finding, quoted } from "./finding.js";

const LOOPBACK = /^(?:localhost|127\.\d+\.\d+\.\d+|\[?::1\]?)$/;

export function checkOrigin(
  config: Config,
  handler: HandlerRow,
  server: ServerRow,
  database: Mongrel2Database,
): Finding[] {
  const url = new URL(config.hub.origin);
  return [checkAddress(config.hub.origin, url, server), checkHostName(config, url.hostname, handler, server, database)];
}

/** Compares scheme and port. Other machines reach a Mongrel2 that listens on a loopback address only through a proxy. */
function checkAddress(origin: string, url: URL, { bindAddr, port, useSsl }: ServerRow): Finding {
  const scheme = useSsl ? "https" : "http";
  const isSame = url.protocol === `${scheme}:` && Number(url.port || (url.protocol === "https:" ? 443 : 80)) === port;
  if (isSame) return databaseFindings.originGood(origin);
  if (LOOPBACK.test(bindAddr) && !LOOPBACK.test(url.hostname))
    return databaseFindings.originOfProxy(origin, scheme, port, bindAddr);
  return databaseFindings.originDiffers(origin, scheme, port, `${scheme}://${url.hostname}:${port}`);
}

/** The Host that Mongrel2 chooses for this name must have the daemon's routes too. */
function checkHostName(
  config: Config,
  name: string,
  handler: HandlerRow,
  server: ServerRow,
  database: Mongrel2Database,
): Finding {
  const hosts = database.hosts.filter(({ serverId }) => serverId === server.id);
  const named = hosts.find((host) => matches(host, name));
  const host = named ?? hosts.find((it) => it.name === server.defaultHost);
  if (!named && hosts.some(({ matching }) => matching.includes("("))) return databaseFindings.hostPatterns(name);
  if (!host) return databaseFindings.hostMissing(name);
  const description = named ? `Host ${quoted(named.name)}` : `default_host ${quoted(server.defaultHost)}`;
  const routes = database.routes.filter(({ hostId }) => hostId === host.id);
  const missingEverywhere = missingRoutes(config, handler, database.routes); // reported by checkRoutes()
  const missing = missingRoutes(config, handler, routes).filter((path) => !missingEverywhere.includes(path));
  if (missing.length === 0) return databaseFindings.hostGood(name, description);
  return databaseFindings.hostRoutesMissing(name, description, missing);
}

/** `matching` is a pattern of names; usually it is the name itself. */
const matches = ({ name, matching }: HostRow, wanted: string): boolean => wanted === name || wanted === matching;
