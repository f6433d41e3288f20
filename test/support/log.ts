/** A log whose lines a test can look at, each as the text that goes to stdout and as what JSON makes of it. */
import { type Logger, openLog } from "../../src/observability/log/logger.js";

export type Line = Readonly<Record<string, unknown>>;

export interface RecordedLog {
  readonly log: Logger;
  readonly texts: readonly string[];
  readonly lines: readonly Line[];
}

export function recordedLog(level = "trace"): RecordedLog {
  const texts: string[] = [];
  const lines: Line[] = [];
  const write = (text: string) => {
    texts.push(text);
    lines.push(JSON.parse(text) as Line);
  };
  return { log: openLog(level, { write }), texts, lines };
}
