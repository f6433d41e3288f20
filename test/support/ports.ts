/**
 * TCP ports for servers that cannot be told "any free port". They come from below the range of outgoing connections
 * (ip_local_port_range, 32768 and up): a port that was free a moment ago could there be taken by some client's end, and
 * a socket that reconnects to its peer's empty port can even connect to itself.
 *
 * A port is reserved for the process that got it, by a file that names the process: a server that a test kills and starts again finds its
 * port free, although other test processes look for ports meanwhile.
 */
import { mkdirSync, readdirSync, readFileSync, readlinkSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

const FIRST = 12_000;
const LAST = 31_999;
const LISTEN = "0A";
const RESERVATIONS = join(tmpdir(), `m2push-test-ports-${process.getuid?.()}`);
const given = new Set<number>();

/** A port on 127.0.0.1 that nobody listens on, that this process was not given before, and that no other process has. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = FIRST + Math.floor(Math.random() * (LAST - FIRST + 1));
    if (!given.has(port) && reserve(port) && (await isFree(port))) return port;
  }
}

/** Whether the port is this process's from now to its end. */
export function reserve(port: number): boolean {
  const file = join(RESERVATIONS, String(port));
  if (given.size === 0) {
    mkdirSync(RESERVATIONS, { recursive: true });
    process.once("exit", () => {
      for (const own of given) rmSync(join(RESERVATIONS, String(own)), { force: true });
    });
  }
  try {
    if (!isOfRunningProcess(file)) rmSync(file, { force: true });
    writeFileSync(file, String(process.pid), { flag: "wx" });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw error;
  }
  given.add(port);
  return true;
}

/** A killed process leaves its files. One without a process is being written. */
function isOfRunningProcess(file: string): boolean {
  try {
    const pid = Number(readFileSync(file, "latin1"));
    return pid === 0 || process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(false));
    server.listen({ port, host: "127.0.0.1", exclusive: true }, () => server.close(() => resolve(true)));
  });
}

/** The TCP ports (IPv4) that a process listens on, from proc(5): unlike connecting, no one notices the look. */
export function listeningPorts(pid: number): Set<number> {
  const sockets = socketsOf(pid);
  const ports = new Set<number>();
  for (const line of readFileSync("/proc/net/tcp", "latin1").split("\n").slice(1)) {
    const [, local, , state, , , , , , inode] = line.trim().split(/\s+/);
    if (state === LISTEN && inode && sockets.has(inode)) ports.add(Number.parseInt(local?.split(":")[1] ?? "", 16));
  }
  return ports;
}

/** Inode numbers of a process's sockets; none when it is gone. */
function socketsOf(pid: number): Set<string> {
  const inodes = new Set<string>();
  for (const link of descriptorsOf(pid)) {
    const inode = /^socket:\[(\d+)\]$/.exec(link)?.[1];
    if (inode) inodes.add(inode);
  }
  return inodes;
}

function descriptorsOf(pid: number): string[] {
  try {
    return readdirSync(`/proc/${pid}/fd`).map((fd) => {
      try {
        return readlinkSync(`/proc/${pid}/fd/${fd}`);
      } catch {
        return ""; // closed while we looked
      }
    });
  } catch {
    return [];
  }
}
