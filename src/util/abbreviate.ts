/** Shortens untrusted text for the log and the dashboard. */

/** Limit for one value of a log line, UTF-16 units. */
const MAX_FIELD_CHARACTERS = 200;

/** Truncates a text; an ellipsis marks that it was longer. */
export function abbreviate(text: string, characters = MAX_FIELD_CHARACTERS): string {
  return text.length > characters ? `${text.slice(0, characters)}…` : text;
}

/** What may be shown of a name that is a permission to those who know it. */
export const abbreviateName = (name: string): string => `${name.slice(0, 6)}…`;

interface ListBounds {
  /** Number of words. */
  readonly maxWords: number;
  /** Characters of one word. */
  readonly maxWordCharacters: number;
  /** Characters of all words together; the first word is always included. */
  readonly maxCharacters: number;
}

/** The first words of a list, each abbreviated, and the number of omitted ones: "and 97 more". */
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

/** A JSON value with every text abbreviated, and at most `members` members of each list and object. */
export function abbreviateAll(value: unknown, characters: number, members: number): unknown {
  if (typeof value === "string") return abbreviate(value, characters);
  if (Array.isArray(value)) return value.slice(0, members).map((it) => abbreviateAll(it, characters, members));
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).slice(0, members);
  return Object.fromEntries(
    entries.map(([name, it]) => [abbreviate(name, characters), abbreviateAll(it, characters, members)]),
  );
}
