/**
 * Runs compiled tests in the given order, one process for each, one more at a time than there are cores: tests beside Mongrel2 or a
 * browser use the processor for a fifth of their time. `node --test` would sort them by name. Used by run-tests.js, which passes the
 * options of the child processes as options of this one.
 */
import { availableParallelism } from "node:os";
import { run } from "node:test";
import { spec } from "node:test/reporters";

const [timeoutMs, ...files] = process.argv.slice(2);
const events = run({ files, concurrency: availableParallelism() + 1, timeout: Number(timeoutMs) });
events.on("test:fail", () => {
  process.exitCode = 1;
});
events.compose(new spec()).pipe(process.stdout);
