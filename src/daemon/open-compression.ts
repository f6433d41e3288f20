/** Opens the compression of streams, and says in the log how well it works. */
import { Compression } from "../delivery/compression.js";
import { workingKind } from "../delivery/deflater.js";
import type { DaemonContext } from "./daemon-context.js";

export function openCompression({ initial, options: { clock, log }, state }: DaemonContext): Compression {
  const { compression: mode } = initial.stream;
  if (mode !== "off" && workingKind() === "dictionary") {
    const fix = "use a version of Node.js that m2push is tested with (20, 22, 24, 26)";
    log.warn({ event: "compression_slow", node: process.version, fix }, "this Node.js compresses bodies slowly");
  }
  const compression = new Compression({
    mode,
    clock,
    failed: (error) => {
      const fix = "give the process more memory, and restart it to compress again";
      log.error({ event: "compression_failed", err: error, fix }, "zlib failed: streams are not compressed any more");
    },
  });
  state.compression = compression;
  return compression;
}
