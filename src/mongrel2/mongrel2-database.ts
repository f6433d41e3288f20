/**
 * Reads the configuration database of Mongrel2 that m2sh writes (docs/architecture/mongrel2.md 4): the schema of 1.12.2. 1.13 adds
 * columns, which this reader ignores.
 */
import { copyFileSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { M2pushError, messageOf } from "../errors.js";

export interface ServerRow {
  readonly id: number;
  readonly uuid: string;
  readonly name: string;
  readonly chroot: string;
  readonly controlPort: string;
  readonly defaultHost: string;
  readonly bindAddr: string;
  readonly port: number;
  readonly useSsl: boolean;
}

export interface HostRow {
  readonly id: number;
  readonly serverId: number;
  readonly name: string;
  /** Suffix of the host names that it serves. */
  readonly matching: string;
}

export interface RouteRow {
  readonly path: string;
  readonly hostId: number;
  readonly targetId: number;
  /** "dir", "handler" or "proxy": the table that targetId refers to. */
  readonly targetType: string;
}

export interface HandlerRow {
  readonly id: number;
  readonly sendSpec: string;
  readonly sendIdent: string;
  readonly recvSpec: string;
  readonly recvIdent: string;
  readonly protocol: string;
}

export interface Mongrel2Database {
  readonly servers: readonly ServerRow[];
  readonly hosts: readonly HostRow[];
  readonly routes: readonly RouteRow[];
  readonly handlers: readonly HandlerRow[];
  readonly settings: ReadonlyMap<string, string>;
}

type Row = Readonly<Record<string, unknown>>;
type Table = (name: string) => Row[];

/** Rejects with "unavailable" if the file cannot be read or is no configuration database. */
export async function readDatabase(path: string): Promise<Mongrel2Database> {
  const { default: sqlite } = await import("node-sqlite3-wasm");
  // Reads a copy: the library creates a lock beside the file, where this user may not be allowed to write and where m2sh sees it.
  const folder = mkdtempSync(join(tmpdir(), "m2push-database-"));
  try {
    const copy = join(folder, "config.sqlite");
    copyFileSync(path, copy);
    const database = new sqlite.Database(copy, { fileMustExist: true, readOnly: true });
    try {
      return readTables((name) => database.all(`SELECT * FROM ${name} ORDER BY id`) as Row[]);
    } finally {
      database.close();
    }
  } catch (cause) {
    const why = messageOf(cause);
    throw new M2pushError("unavailable", `${path} cannot be read as a configuration database of Mongrel2: ${why}`, {
      cause,
    });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function readTables(table: Table): Mongrel2Database {
  return {
    servers: table("server").map((row) => ({
      id: number(row, "id"),
      uuid: text(row, "uuid"),
      name: text(row, "name"),
      chroot: text(row, "chroot"),
      controlPort: text(row, "control_port"),
      defaultHost: text(row, "default_host"),
      bindAddr: text(row, "bind_addr"),
      port: number(row, "port"),
      useSsl: text(row, "use_ssl") === "1",
    })),
    hosts: table("host").map((row) => ({
      id: number(row, "id"),
      serverId: number(row, "server_id"),
      name: text(row, "name"),
      matching: text(row, "matching"),
    })),
    routes: table("route").map((row) => ({
      path: text(row, "path"),
      hostId: number(row, "host_id"),
      targetId: number(row, "target_id"),
      targetType: text(row, "target_type"),
    })),
    handlers: table("handler").map((row) => ({
      id: number(row, "id"),
      sendSpec: text(row, "send_spec"),
      sendIdent: text(row, "send_ident"),
      recvSpec: text(row, "recv_spec"),
      recvIdent: text(row, "recv_ident"),
      protocol: text(row, "protocol"),
    })),
    settings: new Map(table("setting").map((row) => [text(row, "key"), text(row, "value")])),
  };
}

/** SQLite types values, not columns, and m2sh omits values that were not given. */
function text(row: Row, column: string): string {
  const value = row[column];
  return value === null || value === undefined ? "" : String(value);
}

function number(row: Row, column: string): number {
  const value = Number(row[column]);
  if (!Number.isInteger(value)) throw new TypeError(`no whole number in column ${column}`);
  return value;
}

/** The number of a setting; `defaultValue` if it is not set or no number. */
export function setting({ settings }: Mongrel2Database, key: string, defaultValue: number): number {
  const value = Number(settings.get(key) ?? Number.NaN);
  return Number.isFinite(value) ? value : defaultValue;
}
