/** The server and the routes around our handler, as Mongrel2's configuration has them. */
import type { Config, ServerConfig } from "../../config/schema.js";
import { metadataPath } from "../../http/routes/metadata.js";
import type { HandlerRow, Mongrel2Database, RouteRow, ServerRow } from "../../mongrel2/mongrel2-database.js";
import { isSameEndpoint } from "../../mongrel2/socket-spec.js";
import { type Finding, fail, ok, quoted, warn } from "./finding.js";

const METADATA = metadataPath("");
/** Where Mongrel2 has its control port when nothing names one. */
const CONTROL = "ipc://run/control";

/** Every server that a route leads from to this handler. */
export function serversOf({ id }: HandlerRow, database: Mongrel2Database): ServerRow[] {
  const hosts = new Set(database.routes.filter((it) => leadsTo(it, id)).map(({ hostId }) => hostId));
  const servers = new Set(database.hosts.filter((host) => hosts.has(host.id)).map(({ serverId }) => serverId));
  return database.servers.filter((server) => servers.has(server.id));
}

const leadsTo = ({ targetType, targetId }: RouteRow, handler: number): boolean =>
  targetType === "handler" && targetId === handler;

/** Requests for a Host that is not named go to default_host; where that names none they are 404. */
export function checkDefaultHost(server: ServerRow, { hosts }: Mongrel2Database): Finding {
  const names = hosts.filter(({ serverId }) => serverId === server.id).map(({ name }) => name);
  if (names.includes(server.defaultHost)) return ok(`default_host ${quoted(server.defaultHost)} is a Host`);
  const what = `default_host ${quoted(server.defaultHost)} names no Host: every other name and address gets 404`;
  return fail(what, `set it to one of ${names.map(quoted).join(", ")}`);
}

/** Our paths. All must lead to the handler; the plain stream address should do so alone. */
export function checkRoutes(config: Config, handler: HandlerRow, { routes }: Mongrel2Database): Finding[] {
  return pathsOf(config).map(({ path, route, level, effect }) => {
    const best = bestRoute(path, routes);
    if (best && leadsTo(best, handler.id))
      return path === config.stream.path ? checkAnchor(path, best.path) : ok(`${path} leads here`);
    const what = `no route leads ${path} to this Handler${elsewhere(best)}: ${effect}`;
    return level(what, `add the route '${route}' to the Host, with this Handler`);
  });
}

/** Which of our paths these routes do not lead to the handler. */
export const missingRoutes = (config: Config, handler: HandlerRow, routes: readonly RouteRow[]): string[] =>
  pathsOf(config).flatMap(({ path }) => {
    const best = bestRoute(path, routes);
    return best && leadsTo(best, handler.id) ? [] : [path];
  });

interface Path {
  readonly path: string;
  /** As it should stand in the Host. */
  readonly route: string;
  readonly level: typeof fail;
  /** What does not work without. */
  readonly effect: string;
}

function pathsOf({ stream, hub }: Config): Path[] {
  const paths: Path[] = [
    { path: stream.path, route: `${stream.path}()$`, level: fail, effect: "no plain event streams" },
    { path: hub.path, route: hub.path, level: warn, effect: "no Mercure, no publishing over HTTP" },
  ];
  if (hub.protocol === "0.x") return paths;
  const effect = "clients of draft-08 find no metadata of the hub, and take it for one that speaks 0.x only";
  return [...paths, { path: metadataPath(hub.path), route: METADATA, level: warn, effect }];
}

const elsewhere = (route: RouteRow | undefined): string =>
  route ? ` ('${route.path}' leads it to a ${route.targetType})` : "";

/** The route with the longest literal part that the path begins with. What stands in parentheses is a pattern. */
function bestRoute(path: string, routes: readonly RouteRow[]): RouteRow | undefined {
  const fitting = routes.filter((route) => {
    const { literal, anchored } = partsOf(route.path);
    return anchored ? path === literal : path.startsWith(literal);
  });
  return fitting.sort((a, b) => partsOf(b.path).literal.length - partsOf(a.path).literal.length)[0];
}

function partsOf(route: string): { literal: string; anchored: boolean } {
  const at = route.indexOf("(");
  return { literal: at < 0 ? route : route.slice(0, at), anchored: route.endsWith("()$") };
}

/** Mongrel2 matches prefixes both ways: '/esupdates' also gets /e, /es and /esupdatesX (404 from the daemon, not from the page). */
function checkAnchor(path: string, route: string): Finding {
  if (partsOf(route).anchored) return ok(`the route '${route}' is pinned to that path`);
  const what = `the route '${route}' is not pinned: Mongrel2 sends ${path.slice(0, 2)} and ${path}X here, too`;
  return warn(what, `write it '${path}()$'`);
}

/** Where Mongrel2 listens for `status net`, against our [[mongrel2]] control. */
export function checkControlPort(
  ours: ServerConfig,
  server: ServerRow,
  { settings }: Mongrel2Database,
  folders: readonly string[],
): Finding[] {
  const theirs = server.controlPort || settings.get("control_port") || CONTROL;
  if (ours.control === undefined || isSameEndpoint(ours.control, theirs, folders)) return [];
  const what = `control is ${ours.control}, but Mongrel2's control_port is ${quoted(theirs)}`;
  return [
    fail(what, "make the two the same (an ipc path in Mongrel2 is relative to where it was started, or to its chroot)"),
  ];
}
