/** Unit files (systemd.syntax(7)), as far as ours need it: assignments by section, in order. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { PROJECT } from "../support/processes.js";

export interface Unit {
  readonly name: string;
  readonly text: string;
  /** All values of a key, in order; an empty one resets those before it. */
  values(section: string, key: string): string[];
  /** The last one; "" where there is none. */
  value(section: string, key: string): string;
}

export function readUnit(name: string): Unit {
  const text = readFileSync(join(PROJECT, "packaging/systemd", name), "utf8");
  const all: { section: string; key: string; value: string }[] = [];
  let section = "";
  for (const line of text.split("\n")) {
    section = /^\[(\w+)\]$/.exec(line)?.[1] ?? section;
    const [, key, value] = /^(\w+)=(.*)$/.exec(line) ?? [];
    if (key !== undefined && value !== undefined) all.push({ section, key, value });
    else if (line !== "" && !/^[#[]/.test(line)) throw new Error(`${name}: what is "${line}"?`);
  }
  const values = (of: string, key: string) =>
    all.filter((it) => it.section === of && it.key === key).map(({ value }) => value);
  return { name, text, values, value: (of, key) => values(of, key).at(-1) ?? "" };
}

/** What the unit lets its processes do, in words of systemd.exec(5). */
export interface Sandbox {
  readonly families: readonly string[];
  readonly writeExecute: boolean;
  /** System calls and sets of them; undefined = all. */
  readonly allowed: readonly string[];
  readonly denied: readonly string[];
}

export function sandboxOf({ value, values }: Unit): Sandbox {
  const filters = values("Service", "SystemCallFilter").map((line) => line.split(" "));
  const isDenial = ([first = ""]: string[]) => first.startsWith("~");
  return {
    families: value("Service", "RestrictAddressFamilies").split(" "),
    writeExecute: value("Service", "MemoryDenyWriteExecute") !== "yes",
    allowed: filters.filter((words) => !isDenial(words)).flat(),
    denied: filters.filter(isDenial).flatMap((words) => words.map((word) => word.replace("~", ""))),
  };
}
