/**
 * Unicode properties, `\p{...}`, as classes of ASCII characters. JavaScript knows about 2,000 names; each is looked up in its engine once, and
 * only valid names are cached.
 */
import { type CharacterClass, classOf } from "./automaton.js";

/**
 * Properties of strings (ECMAScript, table 69): sets of emoji, none of which is a single ASCII character. They are not looked up in the engine,
 * which needs 14 ms for RGI_Emoji alone.
 */
const OF_STRINGS: ReadonlySet<string> = new Set([
  "Basic_Emoji",
  "Emoji_Keycap_Sequence",
  "RGI_Modifier_Sequence",
  "RGI_Flag_Sequence",
  "RGI_Emoji_Modifier_Sequence",
  "RGI_Emoji_Flag_Sequence",
  "RGI_Emoji_Tag_Sequence",
  "RGI_Emoji_ZWJ_Sequence",
  "RGI_Emoji",
]);

const known = new Map<string, CharacterClass>();
const ASCII = Array.from({ length: 128 }, (_, code) => String.fromCharCode(code)).join("");

export const isPropertyOfStrings = (name: string): boolean => OF_STRINGS.has(name);

/** The ASCII characters that have a property; undefined when there is no property of this name. */
export function propertyMembers(name: string): CharacterClass | undefined {
  const members = known.get(name) ?? lookUp(name);
  if (members) known.set(name, members);
  return members;
}

function lookUp(name: string): CharacterClass | undefined {
  if (OF_STRINGS.has(name)) return classOf(() => false);
  const property = isName(name) ? engineClass(name) : undefined;
  if (!property) return undefined;
  const found = new Set(ASCII.match(property));
  return classOf((character) => found.has(character));
}

const isName = (name: string): boolean => /^[A-Za-z0-9_=]+$/.test(name);

function engineClass(name: string): RegExp | undefined {
  try {
    return new RegExp(`\\p{${name}}`, "gu");
  } catch {
    return undefined;
  }
}
