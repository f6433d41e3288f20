/** The valid name nearest to a misspelt one, for error messages. */

/** Longer names are cut before they are compared: the cost is proportional to the product of both lengths. */
const MAX_COMPARED_CHARS = 64;

/**
 * The candidate with the smallest edit distance to `word`, ignoring case; the first of several. The distance has no limit: one valid
 * name shows the form of all.
 */
export function suggest(word: string, candidates: readonly [string, ...string[]]): string {
  let best = candidates[0];
  let least = Number.POSITIVE_INFINITY;
  for (const candidate of candidates) {
    const edits = distance(word.toLowerCase(), candidate.toLowerCase());
    if (edits >= least) continue;
    best = candidate;
    least = edits;
  }
  return best;
}

/** The number of characters to insert, delete, replace or swap with their neighbour (optimal string alignment). */
export function distance(left: string, right: string): number {
  const a = left.slice(0, MAX_COMPARED_CHARS);
  const b = right.slice(0, MAX_COMPARED_CHARS);
  let beforeLast: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const row = nextRow(a, b, i, last, beforeLast);
    beforeLast = last;
    last = row;
  }
  return last[b.length] ?? 0;
}

function nextRow(a: string, b: string, i: number, last: readonly number[], beforeLast: readonly number[]): number[] {
  const row = [i];
  for (let j = 1; j <= b.length; j++) {
    const replaced = at(last, j - 1) + (a[i - 1] === b[j - 1] ? 0 : 1);
    const cost = Math.min(replaced, at(last, j) + 1, at(row, j - 1) + 1);
    const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
    row.push(swapped ? Math.min(cost, at(beforeLast, j - 2) + 1) : cost);
  }
  return row;
}

const at = (row: readonly number[], index: number): number => row[index] ?? Number.POSITIVE_INFINITY;
