/** Binds a server. Removes the socket file of a process that has ended, and never any other file. */
import { once } from "node:events";
import { lstatSync, unlinkSync } from "node:fs";
import { connect, createServer, type Server } from "node:net";
import { type Endpoint, parseListenEndpoint } from "./endpoint.js";

/** The longest path of a socket file on Linux, without its terminating zero (unix(7)). */
const MAX_PATH_BYTES = 107;

/** Rejects with the error of the operating system, and with EEXIST if the path is that of another kind of file. */
export async function listen(server: Server, endpoint: Endpoint): Promise<void> {
  try {
    await once(server.listen(endpoint), "listening");
  } catch (error) {
    if (!("path" in endpoint) || !(await isAbandonedSocket(endpoint.path, error))) throw error;
    unlinkSync(endpoint.path);
    await once(server.listen(endpoint), "listening");
  }
}

/** Throws ENAMETOOLONG: libuv would truncate the path. */
export function checkPathLength(endpoint: Endpoint): void {
  const bytes = "path" in endpoint ? Buffer.byteLength(endpoint.path) : 0;
  if (bytes <= MAX_PATH_BYTES) return;
  const what = `the path has ${bytes} bytes, the limit is ${MAX_PATH_BYTES}`;
  throw Object.assign(new Error(what), { code: "ENAMETOOLONG" });
}

/** libzmq removes any file at the path that it binds. This binds the path first, and so rejects as listen() does. */
export async function checkIpcPath(spec: string): Promise<void> {
  const endpoint = parseListenEndpoint(spec);
  if (endpoint === undefined || !("path" in endpoint) || endpoint.path.startsWith("\0")) return;
  checkPathLength(endpoint);
  const server = createServer();
  await listen(server, endpoint);
  await new Promise((resolve) => server.close(resolve));
}

/** Whether the path is the socket file of a process that has ended. Throws EEXIST if it is no socket. */
async function isAbandonedSocket(path: string, error: unknown): Promise<boolean> {
  if ((error as NodeJS.ErrnoException).code !== "EADDRINUSE") return false;
  // An abstract name has no file.
  if (path.startsWith("\0")) return false;
  if (!lstatSync(path).isSocket()) throw Object.assign(new Error("not a socket"), { code: "EEXIST" });
  const socket = connect({ path });
  try {
    await once(socket, "connect");
    return false;
  } catch (cause) {
    return (cause as NodeJS.ErrnoException).code === "ECONNREFUSED";
  } finally {
    socket.destroy();
  }
}
