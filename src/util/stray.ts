/**
 * Rejections that nobody can handle: when a commit fails (the disk is full), lmdb rejects the promises that it has given out,
 * which are handled where they were got, and two that it keeps to itself. Node ends the process for those. With this it does
 * so for every other one only, as before.
 */

let listens = false;

/** Once a process; harmless the second time. */
export function tolerateStrayRejections(): void {
  if (listens) return;
  listens = true;
  process.on("unhandledRejection", (reason) => {
    if (!isOfLmdb(reason)) throw reason;
  });
}

/** Those are plain Errors. A RangeError or TypeError from inside it is a mistake of ours, in whatever called it. */
const isOfLmdb = (reason: unknown): boolean =>
  reason instanceof Error && reason.name === "Error" && /[\\/]node_modules[\\/]lmdb[\\/]/.test(reason.stack ?? "");
