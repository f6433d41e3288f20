/**
 * TCP ports for servers that cannot be told "any free port". They come from below the range of outgoing connections
 * (ip_local_port_range, 32768 and up): a port that was free a moment ago could there be taken by some client's end, and
 * a socket that reconnects to its peer's empty port can even connect to itself.
 */
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { createServer } from "node:net";

const FIRST = 12_000;
const LAST = 31_999;
const LISTEN = "0A";
const given = new Set<number>();

/** A port on 127.0.0.1 that nobody listens on and that this process was not given before. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = FIRST + Math.floor(Math.random() * (LAST - FIRST + 1));
    if (given.has(port)) continue;
    given.add(port);
    if (await isFree(port)) return port;
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
