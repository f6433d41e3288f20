/** Creates files that only the daemon's user can read: events, clients, keys and tokens. */
import { chmodSync, lstatSync, mkdirSync, readdirSync } from "node:fs";
import { join } from "node:path";

/** File mode for writeFileSync() and openSync(). */
export const PRIVATE_MODE = 0o600;

/** Runs `create` synchronously: it creates files with 0600 and folders with 0700, also through a library without a mode option. */
export function privately<T>(create: () => T): T {
  const umask = process.umask(0o077);
  try {
    return create();
  } finally {
    process.umask(umask);
  }
}

/**
 * Creates the folder with 0700 if it is missing, and removes the permissions of other users from it and from its files. Files of
 * another user are not changed. Throws the errors of the file system.
 */
export function makePrivateFolder(path: string): void {
  privately(() => mkdirSync(path, { recursive: true }));
  restrict(path, 0o700);
  for (const name of readdirSync(path)) restrict(join(path, name), PRIVATE_MODE);
}

/** Does not follow links. Subfolders keep their mode: other users cannot reach them. */
function restrict(path: string, mode: number): void {
  const found = lstatSync(path, { throwIfNoEntry: false });
  const isOurs = found !== undefined && found.uid === process.getuid?.();
  const isOpen = ((found?.mode ?? 0) & 0o077) !== 0;
  const isFolder = mode === 0o700;
  if (!isOurs || !isOpen || found.isSymbolicLink() || found.isDirectory() !== isFolder) return;
  try {
    chmodSync(path, mode);
  } catch (error) {
    // Another process that uses the folder has removed the file.
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
  }
}
