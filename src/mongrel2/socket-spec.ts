/** ZeroMQ addresses as Mongrel2's configuration and ours write them: when two of them mean the same socket. */
import { resolve } from "node:path";

/** What is listened on, and what is connected to: "*" and 0.0.0.0 are every address of the machine. */
const EVERYWHERE = new Set(["*", "0.0.0.0", "[::]"]);
const HERE = new Set(["127.0.0.1", "localhost", "[::1]"]);

export function tcpOf(spec: string): { readonly host: string; readonly port: number } | undefined {
  const [, host, port] = /^tcp:\/\/(.+):(\d+)$/.exec(spec) ?? [];
  return host === undefined ? undefined : { host, port: Number(port) };
}

export function ipcPathOf(spec: string): string | undefined {
  return spec.startsWith("ipc://") ? spec.slice("ipc://".length) : undefined;
}

/**
 * Whether our address reaches the one that Mongrel2 binds. `folders`: what its ipc paths may be relative to (ours are
 * absolute). Host names are not looked up: where only the names differ, the port decides.
 */
export function isSameEndpoint(ours: string, theirs: string, folders: readonly string[]): boolean {
  const [path, bound] = [ipcPathOf(ours), ipcPathOf(theirs)];
  if (path !== undefined && bound !== undefined) return folders.some((folder) => resolve(folder, bound) === path);
  const [to, at] = [tcpOf(ours), tcpOf(theirs)];
  if (!to || !at || to.port !== at.port) return false;
  return to.host === at.host || EVERYWHERE.has(at.host) || EVERYWHERE.has(to.host) || !differ(to.host, at.host);
}

/** Two addresses of one family that are certainly not the same. */
function differ(one: string, other: string): boolean {
  if (HERE.has(one) && HERE.has(other)) return false;
  const literal = /^[0-9.]+$/;
  return literal.test(one) && literal.test(other);
}
