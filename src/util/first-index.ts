/** Binary search: the first of the indexes from `low` up to `high` for which `isBefore` is false; `high` = there is none. */
export function firstIndex(low: number, high: number, isBefore: (index: number) => boolean): number {
  let [first, end] = [low, high];
  while (first < end) {
    const middle = (first + end) >>> 1;
    if (isBefore(middle)) first = middle + 1;
    else end = middle;
  }
  return first;
}
