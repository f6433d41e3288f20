/**
 * The values gathered while a configuration is loaded: for each key the one of the strongest source so far, and every fault
 * met on the way. Nothing here throws before all faults are known; `finish` throws them together.
 */
import { M2pushError } from "../errors.js";
import type { Key } from "./schema.js";
import { Invalid, show } from "./value-type.js";

/** Where a value came from. A line is undefined only where the scan of the file did not find the key. */
export type Source =
  | { readonly from: "default" }
  | { readonly from: "file"; readonly file: string; readonly line: number | undefined }
  | { readonly from: "environment"; readonly variable: string }
  | { readonly from: "flag"; readonly flag: string };

/** "default", "m2push.toml:12", "M2PUSH_LOG_LEVEL" or "--log-level". */
export function sourceText(source: Source): string {
  if (source.from === "default") return "default";
  if (source.from === "environment") return source.variable;
  if (source.from === "flag") return source.flag;
  return source.line === undefined ? source.file : `${source.file}:${source.line}`;
}

/** The configuration will not do. `faults` has a line for each reason; the message is all of them, a line each. */
export class ConfigError extends M2pushError {
  readonly faults: readonly string[];

  constructor(faults: readonly string[]) {
    super("config_invalid", faults.join("\n"));
    this.name = "ConfigError";
    this.faults = faults;
  }
}

export interface Setting {
  readonly value: unknown;
  readonly source: Source;
  /** Where a fault that involves this value points: like the source, but for a default the table that leaves it out. */
  readonly place: string;
}

export class Settings {
  readonly faults: string[];
  readonly #settings = new Map<string, Setting>();

  /** `faults` are those known beforehand. */
  constructor(faults: readonly string[] = []) {
    this.faults = [...faults];
  }

  /** Takes the default of a key. `place` is where a fault would point; `base` the folder of its relative path. */
  assume(path: string, key: Key<unknown>, place: string, base: string): void {
    const given = key.default ?? undefined;
    const value = given === undefined ? undefined : resolved(key, given, base);
    this.#take(path, key, value, given, { source: { from: "default" }, place });
  }

  /** Takes a value of a stronger source than all before; one that will not do becomes a fault. */
  offer(path: string, key: Key<unknown>, given: unknown, source: Source, base: string): void {
    const read = key.kind.read(given);
    const value = read instanceof Invalid ? read : resolved(key, read, base);
    this.#take(path, key, value, given, { source, place: sourceText(source) });
  }

  /** The setting of a key; undefined when its value was at fault. */
  get(path: string): Setting | undefined {
    return this.#settings.get(path);
  }

  /** Notes a fault of a key. `place` is file:line, a variable or a flag; tables of an array are told apart by it alone. */
  fault(place: string, path: string, reason: string): void {
    this.faults.push(`${place}: ${path.replace(/\[[0-9]+\]/g, "")}: ${reason}`);
  }

  /** The source of every key, when there were no faults; otherwise throws them. */
  finish(): ReadonlyMap<string, Source> {
    if (this.faults.length > 0) throw new ConfigError(this.faults);
    return new Map([...this.#settings].map(([path, { source }]) => [path, source]));
  }

  #take(path: string, key: Key<unknown>, value: unknown, given: unknown, from: Omit<Setting, "value">): void {
    if (!(value instanceof Invalid)) {
      this.#settings.set(path, { value, ...from });
      return;
    }
    this.#settings.delete(path);
    const got = key.kind.secret === true && typeof given === "string" ? "a text that is not shown" : show(given);
    this.fault(from.place, path, `expected ${value.expected}, got ${value.got ?? got}`);
  }
}

function resolved(key: Key<unknown>, value: NonNullable<unknown>, base: string): unknown {
  return key.kind.resolve === undefined ? value : key.kind.resolve(value, base);
}
