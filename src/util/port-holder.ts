/** Finds the process that listens on a TCP port of this machine in /proc (Linux), for error messages that name it. */
import { readdirSync, readFileSync, readlinkSync } from "node:fs";

/** The state LISTEN in /proc/net/tcp. */
const LISTEN = "0A";

interface PortHolder {
  /** Undefined if the process belongs to another user. */
  readonly pid: number | undefined;
  /** "nginx (pid 123)", "a process of another user". */
  readonly name: string;
}

/** Undefined if no process listens. */
export function portHolder(port: number): PortHolder | undefined {
  const inodes = ["tcp", "tcp6"].flatMap((table) => listeningInodes(`/proc/net/${table}`, port));
  if (inodes.length === 0) return undefined;
  const pid = readdirSync("/proc").find((name) => /^\d+$/.test(name) && hasSocket(name, inodes));
  if (pid === undefined) return { pid, name: "a process of another user" };
  return { pid: Number(pid), name: `${commandOf(pid)} (pid ${pid})` };
}

/** Columns: index, local address:port in hexadecimal, remote, state, queues, timers, retries, uid, timeout, inode. */
function listeningInodes(table: string, port: number): string[] {
  const suffix = `:${port.toString(16).toUpperCase().padStart(4, "0")}`;
  const lines = tryRead(table).split("\n").slice(1);
  return lines.flatMap((line) => {
    const [, local = "", , state, , , , , , inode = ""] = line.trim().split(/\s+/);
    return state === LISTEN && local.endsWith(suffix) ? [inode] : [];
  });
}

function hasSocket(pid: string, inodes: readonly string[]): boolean {
  try {
    const folder = `/proc/${pid}/fd`;
    return readdirSync(folder).some((fd) =>
      inodes.includes(/^socket:\[(\d+)\]$/.exec(tryLink(`${folder}/${fd}`))?.[1] ?? ""),
    );
  } catch {
    return false; // ended, or of another user
  }
}

const commandOf = (pid: string): string => tryRead(`/proc/${pid}/comm`).trim() || "a process";

function tryRead(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}

function tryLink(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return "";
  }
}
