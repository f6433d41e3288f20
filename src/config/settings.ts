/**
 * The values collected while a configuration is loaded: for each key the value of the strongest source so far, and every fault found
 * on the way. Nothing here throws before all faults are known; `finish` throws them together.
 */
import { ConfigError } from "./config-error.js";
import { faultTexts } from "./fault-texts.js";
import type { ConfigKey } from "./schema.js";
import { showValue } from "./show-value.js";
import { sourceText, type ValueSource } from "./value-source.js";
import { Invalid } from "./value-type.js";

export interface Setting {
  readonly value: unknown;
  readonly source: ValueSource;
  /** Where a fault of this value points: the source; for a default, the table that leaves the key out. */
  readonly location: string;
}

export class Settings {
  readonly faults: string[];
  readonly #settings = new Map<string, Setting>();

  /** `faults` are those found before. */
  constructor(faults: readonly string[] = []) {
    this.faults = [...faults];
  }

  /** Records the default of a key. `location` is where a fault would point; `base` the folder of its relative path. */
  setDefault(path: string, key: ConfigKey<unknown>, location: string, base: string): void {
    const given = key.default ?? undefined;
    const value = given === undefined ? undefined : resolved(key, given, base);
    this.#record(path, key, value, given, { source: { from: "default" }, location });
  }

  /** Records a value of a stronger source than all before; an invalid one becomes a fault. */
  offer(path: string, key: ConfigKey<unknown>, given: unknown, source: ValueSource, base: string): void {
    const read = key.type.read(given);
    const value = read instanceof Invalid ? read : resolved(key, read, base);
    this.#record(path, key, value, given, { source, location: sourceText(source) });
  }

  /** The setting of a key; undefined when its value was invalid. */
  get(path: string): Setting | undefined {
    return this.#settings.get(path);
  }

  /** Adds a fault of a key. `location` is file:line, a variable or a flag; it alone tells the tables of an array apart. */
  fault(location: string, path: string, reason: string): void {
    this.faults.push(`${location}: ${path.replace(/\[[0-9]+\]/g, "")}: ${reason}`);
  }

  /** The source of every key. Throws ConfigError when there are faults. */
  finish(): ReadonlyMap<string, ValueSource> {
    if (this.faults.length > 0) throw new ConfigError(this.faults);
    return new Map([...this.#settings].map(([path, { source }]) => [path, source]));
  }

  #record(path: string, key: ConfigKey<unknown>, value: unknown, given: unknown, from: Omit<Setting, "value">): void {
    if (!(value instanceof Invalid)) {
      this.#settings.set(path, { value, ...from });
      return;
    }
    this.#settings.delete(path);
    const got = key.type.secret === true && typeof given === "string" ? faultTexts.hiddenValue : showValue(given);
    this.fault(from.location, path, faultTexts.expected(value.expected, value.got ?? got));
  }
}

function resolved(key: ConfigKey<unknown>, value: NonNullable<unknown>, base: string): unknown {
  return key.type.resolve === undefined ? value : key.type.resolve(value, base);
}
