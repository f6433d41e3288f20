/** Files that only the daemon's user may read: events, clients, keys and tokens. */
import { chmodSync, lstatSync, mkdirSync, readdirSync } from "node:fs";
import { join } from "node:path";

/** For writeFileSync and openSync. */
export const PRIVATE_MODE = 0o600;

/** Runs `create`, synchronously: files that it makes are 0600 and folders 0700, also where a library takes no mode. */
export function privately<T>(create: () => T): T {
  const umask = process.umask(0o077);
  try {
    return create();
  } finally {
    process.umask(umask);
  }
}

/**
 * Makes the folder where it is not there, 0700, and takes the rights of others away from it and from what an earlier version has
 * left in it. What belongs to another user is left as it is. Throws what the file system throws.
 */
export function makePrivateFolder(path: string): void {
  privately(() => mkdirSync(path, { recursive: true }));
  restrict(path, 0o700);
  for (const name of readdirSync(path)) restrict(join(path, name), PRIVATE_MODE);
}

/** Links are not followed; subfolders keep their mode: nobody else gets as far as them. */
function restrict(path: string, mode: number): void {
  const found = lstatSync(path, { throwIfNoEntry: false });
  const isOurs = found !== undefined && found.uid === process.getuid?.();
  const isOpen = ((found?.mode ?? 0) & 0o077) !== 0;
  const isFolder = mode === 0o700;
  if (!isOurs || !isOpen || found.isSymbolicLink() || found.isDirectory() !== isFolder) return;
  try {
    chmodSync(path, mode);
  } catch (error) {
    // Removed meanwhile, by another process that uses the folder.
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
  }
}
