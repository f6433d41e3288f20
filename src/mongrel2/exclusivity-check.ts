/**
 * Checks in Mongrel2's configuration database ([[mongrel2]] database) whether this daemon alone answers its requests: every route of
 * the server leads to this daemon's Handler or to a Dir. Then every connection with an id belongs to this daemon, because Mongrel2
 * assigns an id with the first delivery to a handler (docs/architecture/mongrel2.md 2.7).
 */

import { statSync } from "node:fs";
import { dirname } from "node:path";
import type { ServerConfig } from "../config/schema.js";
import { messageOf } from "../errors.js";
import { type HandlerRow, type Mongrel2Database, readDatabase } from "./mongrel2-database.js";
import { isSameEndpoint } from "./socket-spec.js";

export interface Exclusivity {
  readonly isExclusive: boolean;
  /** For the log: what the database shows, or why it shows nothing. */
  readonly reason: string;
}

type OwnServer = Pick<ServerConfig, "send_spec" | "recv_spec" | "send_ident" | "bind" | "database" | "shared">;

export class ExclusivityCheck {
  readonly #ours: OwnServer;
  readonly #read: (path: string) => Promise<Mongrel2Database>;
  /** The last result, and the version of the file that it was read from. */
  #cached: { readonly version: string; readonly answer: Exclusivity } | undefined;

  constructor(ours: OwnServer, read = readDatabase) {
    this.#ours = ours;
    this.#read = read;
  }

  /** Never rejects: a database that cannot be read proves nothing. Reads the file again only when it has changed. */
  async run(): Promise<Exclusivity> {
    const { database, shared } = this.#ours;
    if (shared) return { isExclusive: false, reason: "[[mongrel2]] shared is set" };
    if (database === "") return { isExclusive: false, reason: "[[mongrel2]] database is not set" };
    try {
      const version = versionOf(database);
      if (this.#cached?.version !== version) {
        this.#cached = { version, answer: exclusivityIn(this.#ours, await this.#read(database)) };
      }
      return this.#cached.answer;
    } catch (error) {
      return { isExclusive: false, reason: messageOf(error) };
    }
  }
}

function versionOf(path: string): string {
  const { ino, size, mtimeMs } = statSync(path);
  return `${ino} ${size} ${mtimeMs}`;
}

/** Examines every server that has a route to this daemon's Handler; two servers may share it. */
export function exclusivityIn(ours: OwnServer, database: Mongrel2Database): Exclusivity {
  const { servers, hosts, routes, handlers } = database;
  const own = new Set(handlers.filter((row) => isOwnHandler(ours, row, database)).map(({ id }) => id));
  const isOwn = ({ targetType, targetId }: { targetType: string; targetId: number }) =>
    targetType === "handler" && own.has(targetId);
  const hostServers = new Map(hosts.map(({ id, serverId }) => [id, serverId]));
  const mine = new Set(routes.filter(isOwn).map(({ hostId }) => hostServers.get(hostId)));
  if (mine.size === 0)
    return { isExclusive: false, reason: `no route in ${ours.database} leads to the Handler of m2push` };
  const others = routes.filter((route) => mine.has(hostServers.get(route.hostId)) && !isOwn(route));
  const foreign = others.find(({ targetType }) => targetType !== "dir");
  if (!foreign) return { isExclusive: true, reason: "no other Handler and no Proxy is in Mongrel2's database" };
  const name = servers.find(({ id }) => id === hostServers.get(foreign.hostId))?.name ?? "";
  return { isExclusive: false, reason: `server ${name} also leads '${foreign.path}' to a ${foreign.targetType}` };
}

/** Behind a ZeroMQ proxy the specs in the database are those of the proxy: only the ident identifies the Handler. */
function isOwnHandler(ours: OwnServer, row: HandlerRow, { servers }: Mongrel2Database): boolean {
  if (row.sendIdent !== ours.send_ident) return false;
  if (ours.bind) return true;
  const { database } = ours;
  const folders = [
    ...servers.map(({ chroot }) => chroot),
    dirname(database),
    dirname(dirname(database)),
    process.cwd(),
  ];
  const bases = folders.filter((folder) => folder !== "");
  return isSameEndpoint(ours.send_spec, row.sendSpec, bases) && isSameEndpoint(ours.recv_spec, row.recvSpec, bases);
}
