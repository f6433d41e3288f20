/** Binds a server; where the socket file of a process that is gone is in the way, that is removed, and nothing else ever is. */
import { once } from "node:events";
import { lstatSync, unlinkSync } from "node:fs";
import { connect, type Server } from "node:net";
import type { Endpoint } from "./endpoint.js";

/** The path of a socket's file, as Linux has it; without the zero at its end. */
const MAX_PATH_BYTES = 107;

/** Rejects with the error of the operating system, and with EEXIST where the path is that of a file that is no socket. */
export async function listen(server: Server, place: Endpoint): Promise<void> {
  try {
    await once(server.listen(place), "listening");
  } catch (error) {
    if (!("path" in place) || !(await isAbandonedSocket(place.path, error))) throw error;
    unlinkSync(place.path);
    await once(server.listen(place), "listening");
  }
}

/** Throws ENAMETOOLONG: libuv would use the beginning of the path. */
export function checkPathLength(place: Endpoint): void {
  const bytes = "path" in place ? Buffer.byteLength(place.path) : 0;
  if (bytes <= MAX_PATH_BYTES) return;
  const what = `the path has ${bytes} bytes, at most ${MAX_PATH_BYTES} are possible`;
  throw Object.assign(new Error(what), { code: "ENAMETOOLONG" });
}

/** Whether what is in the way of a socket to bind is the socket of a process that is gone. Throws where it is no socket. */
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
