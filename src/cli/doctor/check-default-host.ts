import type { Mongrel2Database, ServerRow } from "../../mongrel2/mongrel2-database.js";
import { databaseFindings } from "./database-findings.js";
import type { Finding } from "./finding.js";

/** Requests for an unknown Host go to default_host; if that names no Host, they get 404. */
export function checkDefaultHost(server: ServerRow, { hosts }: Mongrel2Database): Finding {
  const names = hosts.filter(({ serverId }) => serverId === server.id).map(({ name }) => name);
  return names.includes(server.defaultHost)
    ? databaseFindings.defaultHostGood(server.defaultHost)
    : databaseFindings.defaultHostMissing(server.defaultHost, names);
}
