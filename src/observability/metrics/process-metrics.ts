/** What is known of the process itself. Names that begin with process_ are those of every Prometheus client library. */
import { type Metric, one, type Row } from "./metric.js";
import type { Snapshot } from "./snapshot.js";

/** `version`: of m2push. */
export function processMetrics(version: string, now: () => Snapshot): Metric[] {
  const descriptors = (value: "used" | "max") => (): Row[] => {
    const count = now().limits.find(({ limit }) => limit === "descriptors")?.[value];
    return count === undefined ? [] : [one(count)];
  };
  const build = [version, process.version.slice(1)];
  return [
    ["gauge", "build_info", "Versions of m2push and Node.js. Always 1.", ["version", "node"], () => [[build, 1]]],
    [
      "gauge",
      "process_start_time_seconds",
      "Start of the daemon, seconds since 1970.",
      [],
      () => [one(now().startedAt / 1000)],
    ],
    ["gauge", "process_resident_memory_bytes", "Resident memory.", [], () => [one(process.memoryUsage.rss())]],
    ["counter", "process_cpu_seconds_total", "User and system CPU time.", [], () => [one(cpuSeconds())]],
    ["gauge", "process_open_fds", "Open file descriptors.", [], descriptors("used")],
    ["gauge", "process_max_fds", "Limit of open file descriptors.", [], descriptors("max")],
    [
      "gauge",
      "heap_used_bytes",
      "Size of the JavaScript heap in use.",
      [],
      () => [one(process.memoryUsage().heapUsed)],
    ],
  ];
}

function cpuSeconds(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
}
