/** What this machine knows of processes and connections, from proc(5). Everything is undefined or empty where there is no /proc. */
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { pathOf, tcpOf } from "../../mongrel2/socket-spec.js";

export interface Mongrel2Process {
  readonly pid: number;
  /** Where it was started; undefined when this user may not see it. */
  readonly folder: string | undefined;
  /** How many files it may open (RLIMIT_NOFILE, soft). */
  readonly files: number | undefined;
}

/** The Mongrel2 that runs the server with this uuid: its arguments are the database and the uuid. */
export function findMongrel2(uuid: string): Mongrel2Process | undefined {
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

/** Whether somebody on this machine has a connection to the address. */
export function isConnected(spec: string): boolean {
  const path = pathOf(spec);
  if (path !== undefined) return unixSockets().some((it) => it.connected && it.path === path);
  const port = tcpOf(spec)?.port;
  return tcpConnections().some((ports) => ports.includes(port ?? -1));
}

/** Ports of both ends of every established connection (tcp_states.h: 01). */
function tcpConnections(): number[][] {
  return ["/proc/net/tcp", "/proc/net/tcp6"].flatMap((file) =>
    rows(file)
      .filter(([, , , state]) => state === "01")
      .map(([, local = "", remote = ""]) => [local, remote].map((it) => Number.parseInt(it.split(":")[1] ?? "", 16))),
  );
}

/** SS_CONNECTED is 03; an accepted end carries the path that it was accepted at. */
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
