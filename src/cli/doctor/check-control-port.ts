import type { ServerConfig } from "../../config/schema.js";
import type { Mongrel2Database, ServerRow } from "../../mongrel2/mongrel2-database.js";
import { isSameEndpoint } from "../../mongrel2/socket-spec.js";
import { databaseFindings } from "./database-findings.js";
import type { Finding } from "./finding.js";

/** Mongrel2's control port when its configuration names none. */
const DEFAULT_CONTROL_PORT = "ipc://run/control";

/** Compares Mongrel2's control_port with [[mongrel2]] control. `folders`: those that Mongrel2's ipc paths may be relative to. */
export function checkControlPort(
  ours: ServerConfig,
  server: ServerRow,
  { settings }: Mongrel2Database,
  folders: readonly string[],
): Finding[] {
  const theirs = server.controlPort || settings.get("control_port") || DEFAULT_CONTROL_PORT;
  if (ours.control === undefined || isSameEndpoint(ours.control, theirs, folders)) return [];
  return [databaseFindings.controlPortDiffers(ours.control, theirs)];
}
