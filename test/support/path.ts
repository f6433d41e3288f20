/**
 * Adds the sbin folders to PATH: Debian installs nats-server and nginx in /usr/sbin, which is not on the PATH of an ordinary user.
 * setup.sh looks there as well, so a program that it finds is one that the tests can start.
 */
import { delimiter } from "node:path";

const SBIN_FOLDERS = ["/usr/local/sbin", "/usr/sbin", "/sbin"];

/** `path` followed by the sbin folders that it does not name. */
export function withSbin(path: string): string {
  const folders = path.split(delimiter);
  return [...folders, ...SBIN_FOLDERS.filter((folder) => !folders.includes(folder))].join(delimiter);
}

process.env.PATH = withSbin(process.env.PATH ?? "/usr/local/bin:/usr/bin:/bin");
