/** One row of a table of metrics, and what Prometheus' client library makes of it. */
import { Counter, Gauge, type Registry } from "prom-client";

/** The values of the labels, in the order of their names, and the value. */
export type Row = readonly [labels: readonly string[], value: number];
type Rows = () => Iterable<Row>;
type MetricType = "counter" | "gauge";
export type Metric = readonly [type: MetricType, name: string, help: string, labels: readonly string[], rows: Rows];

export const one = (value: number): Row => [[], value];

/** A metric that is reset and filled at each scrape: values that no longer exist disappear. */
export function register(registry: Registry, [kind, name, help, labelNames, rows]: Metric): void {
  const options = { name: fullName(name), help, labelNames: [...labelNames], registers: [registry] };
  const fill = (reset: () => void, add: (labels: Record<string, string>, value: number) => void) => {
    reset();
    for (const [values, value] of rows()) {
      add(Object.fromEntries(labelNames.map((label, at) => [label, values[at] ?? ""])), value);
    }
  };
  if (kind === "counter") {
    new Counter({
      ...options,
      collect() {
        fill(this.reset.bind(this), this.inc.bind(this));
      },
    });
  } else {
    new Gauge({
      ...options,
      collect() {
        fill(this.reset.bind(this), this.set.bind(this));
      },
    });
  }
}

/** The names that every process has for itself begin with process_ by convention. */
const fullName = (name: string): string => (name.startsWith("process_") ? name : `m2push_${name}`);
