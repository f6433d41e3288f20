/** Whether Mongrel2's routes send the daemon's paths to its Handler. */
import type { Config } from "../../config/schema.js";
import { metadataPath } from "../../http/routes/metadata.js";
import type { HandlerRow, Mongrel2Database, RouteRow, ServerRow } from "../../mongrel2/mongrel2-database.js";
import { databaseFindings } from "./database-findings.js";
import { type Finding, fail, warn } from "./finding.js";

const METADATA_ROUTE = metadataPath("");

/** Every server with a route to this Handler. */
export function serversOf({ id }: HandlerRow, database: Mongrel2Database): ServerRow[] {
  const hosts = new Set(database.routes.filter((route) => leadsTo(route, id)).map(({ hostId }) => hostId));
  const servers = new Set(database.hosts.filter((host) => hosts.has(host.id)).map(({ serverId }) => serverId));
  return database.servers.filter((server) => servers.has(server.id));
}

const leadsTo = ({ targetType, targetId }: RouteRow, handler: number): boolean =>
  targetType === "handler" && targetId === handler;

/** All paths must be routed to the Handler; the route of the plain stream should match no other path. */
export function checkRoutes(config: Config, handler: HandlerRow, { routes }: Mongrel2Database): Finding[] {
  return pathsOf(config).map(({ path, route, level, effect }) => {
    const best = bestRoute(path, routes);
    if (best && leadsTo(best, handler.id))
      return path === config.stream.path ? checkAnchor(path, best.path) : databaseFindings.routeFound(path);
    return databaseFindings.routeMissing(level, { path, route, instead: best, effect });
  });
}

/** The daemon's paths that these routes do not send to the Handler. */
export const missingRoutes = (config: Config, handler: HandlerRow, routes: readonly RouteRow[]): string[] =>
  pathsOf(config).flatMap(({ path }) => {
    const best = bestRoute(path, routes);
    return best && leadsTo(best, handler.id) ? [] : [path];
  });

interface ServedPath {
  readonly path: string;
  /** The route to add to the Host. */
  readonly route: string;
  readonly level: typeof fail;
  /** The consequence of a missing route. */
  readonly effect: string;
}

function pathsOf({ stream, hub }: Config): ServedPath[] {
  const paths: ServedPath[] = [
    {
      path: stream.path,
      route: `${stream.path}()$`,
      level: fail,
      effect: "the plain EventSource stream does not work",
    },
    { path: hub.path, route: hub.path, level: warn, effect: "Mercure and publishing over HTTP do not work" },
  ];
  if (hub.protocol === "0.x") return paths;
  const effect = "clients of draft-08 cannot read the hub's metadata, and use version 0.x";
  return [...paths, { path: metadataPath(hub.path), route: METADATA_ROUTE, level: warn, effect }];
}

/** The route with the longest literal part that is a prefix of the path. Text in parentheses is a pattern. */
function bestRoute(path: string, routes: readonly RouteRow[]): RouteRow | undefined {
  const matching = routes.filter((route) => {
    const { literal, anchored } = partsOf(route.path);
    return anchored ? path === literal : path.startsWith(literal);
  });
  return matching.sort((a, b) => partsOf(b.path).literal.length - partsOf(a.path).literal.length)[0];
}

function partsOf(route: string): { literal: string; anchored: boolean } {
  const at = route.indexOf("(");
  return { literal: at < 0 ? route : route.slice(0, at), anchored: route.endsWith("()$") };
}

/** Mongrel2 matches prefixes both ways: '/esupdates' also receives /e, /es and /esupdatesX, to which the daemon answers 404. */
const checkAnchor = (path: string, route: string): Finding =>
  partsOf(route).anchored ? databaseFindings.routeAnchored(route) : databaseFindings.routeNotAnchored(path, route);
