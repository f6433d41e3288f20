/** Processes and connections of this machine, from proc(5). Undefined or empty on a system without /proc. */
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { ipcPathOf, tcpOf } from "../../mongrel2/socket-spec.js";

export interface FoundProcess {
  readonly pid: number;
  /** Its working folder; undefined when this user has no permission to read it. */
  readonly folder: string | undefined;
  /** Its soft limit of open files (RLIMIT_NOFILE). */
  readonly files: number | undefined;
}

/** The Mongrel2 process of the server with this uuid: its arguments are the database and the uuid. */
export function findMongrel2(uuid: string): FoundProcess | undefined {
  for (const name of list("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    const [program = "", , server] = read(`/proc/${name}/cmdline`).split("\0");
    if (!/(?:^|\/)mongrel2$/.test(program) || server !== uuid) continue;
    const files = /^Max open files +(\d+)/m.exec(read(`/proc/${name}/limits`))?.[1];
    return {
      pid: Number(name),
      folder: link(`/proc/${name}/cwd`),
      files: files === undefined ? undefined : Number(files),
    };
  }
  return undefined;
}

/** Whether a process on this machine has a connection to the address. */
export function isConnected(spec: string): boolean {
  const path = ipcPathOf(spec);
  if (path !== undefined) return unixSockets().some((it) => it.connected && it.path === path);
  const port = tcpOf(spec)?.port;
  return tcpConnections().some((ports) => ports.includes(port ?? -1));
}

/** The ports of both ends of every established connection (tcp_states.h: 01). */
function tcpConnections(): number[][] {
  return ["/proc/net/tcp", "/proc/net/tcp6"].flatMap((file) =>
    rows(file)
      .filter(([, , , state]) => state === "01")
      .map(([, local = "", remote = ""]) => [local, remote].map((it) => Number.parseInt(it.split(":")[1] ?? "", 16))),
  );
}

/** SS_CONNECTED is 03; the accepted end of a connection has the path of its listener. */
function unixSockets(): { path: string | undefined; connected: boolean }[] {
  return rows("/proc/net/unix").map(([, , , , , state, , path]) => ({ path, connected: state === "03" }));
}

const rows = (file: string): string[][] =>
  read(file)
    .split("\n")
    .slice(1)
    .map((line) => line.trim().split(/\s+/));

function list(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

function read(file: string): string {
  try {
    return readFileSync(file, "latin1");
  } catch {
    return "";
  }
}

function link(file: string): string | undefined {
  try {
    return readlinkSync(file);
  } catch {
    return undefined;
  }
}
