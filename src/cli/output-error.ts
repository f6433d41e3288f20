/**
 * Ends a command whose output cannot be written: silently where its reader closed early, as in `m2push config | head -1`, with an error
 * where the disk is full. A daemon removes it: the log handles errors of its output, and the daemon goes on.
 */
export function endOnOutputError(error: NodeJS.ErrnoException): void {
  if (error.code === "EPIPE") process.exit();
  process.stderr.write(
    `m2push: cannot write to standard output: ${error.message}; fix: free some disk space, or redirect the output to another file\n`,
  );
  process.exit(1);
}
