/**
 * URI templates with one plain expression, such as "https://example.com/users/{id}": most are. Their topics are compared directly, which
 * takes a sixth of the time of an automaton. The language is that of uri-template.ts.
 */

const ASCII_COUNT = 128;
/** By character code: the characters that `{id}` matches, besides `%hh`. */
const IS_VALUE = characterTable(/[,A-Za-z0-9._~-]/);
const IS_HEX = characterTable(/[0-9A-Fa-f]/);
const PERCENT = "%".charCodeAt(0);

function characterTable(allowed: RegExp): readonly boolean[] {
  return Array.from({ length: ASCII_COUNT }, (_, code) => allowed.test(String.fromCharCode(code)));
}

/** A test of topics; undefined = the template is not of this kind. It must be one that parseTemplate() takes. */
export function simpleTemplate(template: string): ((topic: string) => boolean) | undefined {
  const [, prefix, suffix] = /^([^{}]*)\{[A-Za-z0-9_]+\}([^{}]*)$/.exec(template) ?? [];
  if (prefix === undefined || suffix === undefined) return undefined;
  return (topic) => {
    const end = topic.length - suffix.length;
    return (
      end >= prefix.length && topic.startsWith(prefix) && topic.endsWith(suffix) && isValue(topic, prefix.length, end)
    );
  };
}

function isValue(topic: string, start: number, end: number): boolean {
  for (let at = start; at < end; at++) {
    const code = topic.charCodeAt(at);
    if (IS_VALUE[code]) continue;
    if (code !== PERCENT || at + 2 >= end) return false;
    if (!IS_HEX[topic.charCodeAt(at + 1)] || !IS_HEX[topic.charCodeAt(at + 2)]) return false;
    at += 2;
  }
  return true;
}
