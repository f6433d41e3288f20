/** `[hub] origin`, where browsers find the hub, against the Server that leads to our handler. */
import type { Config } from "../../config/schema.js";
import type { HandlerRow, HostRow, Mongrel2Database, ServerRow } from "../../mongrel2/mongrel2-database.js";
import { missingRoutes } from "./check-site.js";
import { type Finding, ok, quoted, warn } from "./finding.js";

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

/** Scheme and port. A Mongrel2 that listens on a loopback address only is reached by other machines through a proxy. */
function checkAddress(origin: string, url: URL, { bindAddr, port, useSsl }: ServerRow): Finding {
  const scheme = useSsl ? "https:" : "http:";
  const isSame = url.protocol === scheme && Number(url.port || (url.protocol === "https:" ? 443 : 80)) === port;
  if (isSame) return ok(`[hub] origin ${origin} has the port and scheme of Mongrel2`);
  const theirs = `Mongrel2 serves ${scheme.slice(0, -1)} at port ${port}`;
  if (LOOPBACK.test(bindAddr) && !LOOPBACK.test(url.hostname))
    return ok(`[hub] origin ${origin} is that of a proxy: ${theirs} of ${bindAddr} only`);
  const what = `[hub] origin is ${origin}, but ${theirs}: browsers do not find the hub there, and tokens name another one`;
  return warn(what, `set [hub] origin = "${scheme}//${url.hostname}:${port}", or let a proxy serve ${origin}`);
}

/** The Host that Mongrel2 chooses for this name must have our routes, too. */
function checkHostName(
  config: Config,
  name: string,
  handler: HandlerRow,
  server: ServerRow,
  database: Mongrel2Database,
): Finding {
  const hosts = database.hosts.filter(({ serverId }) => serverId === server.id);
  const named = hosts.find((host) => fits(host, name));
  const host = named ?? hosts.find((it) => it.name === server.defaultHost);
  if (!named && hosts.some(({ matching }) => matching.includes("(")))
    return ok(`${name} ([hub] origin) is compared with patterns of Hosts by Mongrel2 only`);
  const whose = named ? `Host ${quoted(named.name)}` : `default_host ${quoted(server.defaultHost)}`;
  if (!host)
    return warn(`no Host takes requests for ${name} ([hub] origin)`, `add a Host with the name ${quoted(name)}`);
  const routes = database.routes.filter(({ hostId }) => hostId === host.id);
  const nowhere = missingRoutes(config, handler, database.routes); // told by checkRoutes()
  const missing = missingRoutes(config, handler, routes).filter((path) => !nowhere.includes(path));
  if (missing.length === 0) return ok(`requests for ${name} ([hub] origin) go to ${whose}`);
  const what = `requests for ${name} ([hub] origin) go to ${whose}, which has no route to this Handler for ${missing.join(", ")}`;
  return warn(what, "add the routes to that Host, or correct [hub] origin");
}

/** `matching` is a pattern of names, as a rule the name itself. */
const fits = ({ name, matching }: HostRow, wanted: string): boolean => wanted === name || wanted === matching;
