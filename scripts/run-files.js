/**
 * Runs compiled tests in the given order, one process for each, as many at a time as there are cores. `node --test` would sort them by
 * name. Used by run-tests.js, which passes the options of the child processes as options of this one.
 */
import { availableParallelism } from "node:os";
import { run } from "node:test";
import { spec } from "node:test/reporters";

const [timeoutMs, ...files] = process.argv.slice(2);
const events = run({ files, concurrency: availableParallelism(), timeout: Number(timeoutMs) });
events.on("test:fail", () => {
  process.exitCode = 1;
});
events.compose(new spec()).pipe(process.stdout);
