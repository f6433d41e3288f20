/** Text of strangers as the log and the dashboard show it: bounded, whatever was sent. */

/** Characters of one value in a line of the log. */
export const MAX_FIELD_CHARACTERS = 200;

/** The beginning of a text; where something was left out an ellipsis stands for it. */
export function abbreviate(text: string, characters = MAX_FIELD_CHARACTERS): string {
  return text.length > characters ? `${text.slice(0, characters)}…` : text;
}

export interface ListBounds {
  /** Words shown at most. */
  readonly maxWords: number;
  /** Of one word. */
  readonly maxWordCharacters: number;
  /** Of all words together; the first is shown in any case. */
  readonly maxCharacters: number;
}

/** The first words of a list, each abbreviated, and how many are left out: "and 97 more". */
export function abbreviateList(
  list: readonly string[],
  { maxWords: words, maxWordCharacters: characters, maxCharacters: sum }: ListBounds,
): string[] {
  const shown: string[] = [];
  let used = 0;
  for (const word of list) {
    const text = abbreviate(word, characters);
    used += text.length;
    if (shown.length === words || (used > sum && shown.length > 0)) break;
    shown.push(text);
  }
  return shown.length < list.length ? [...shown, `and ${list.length - shown.length} more`] : shown;
}

/** A value as JSON has it, with every text in it abbreviated, and no more than so many members of each list. */
export function abbreviateAll(value: unknown, characters: number, members: number): unknown {
  if (typeof value === "string") return abbreviate(value, characters);
  if (Array.isArray(value)) return value.slice(0, members).map((it) => abbreviateAll(it, characters, members));
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).slice(0, members);
  return Object.fromEntries(
    entries.map(([name, it]) => [abbreviate(name, characters), abbreviateAll(it, characters, members)]),
  );
}
