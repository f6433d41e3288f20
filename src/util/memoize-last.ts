/**
 * A function that remembers what it made last: for what is the same for one client after the other when all come back at once, but
 * would be too much to keep for each. The key is compared with ===.
 */
export function memoizeLast<Key, Value>(make: (key: Key) => Value): (key: Key) => Value {
  let last: { readonly key: Key; readonly value: Value } | undefined;
  return (key) => {
    if (!last || last.key !== key) last = { key, value: make(key) };
    return last.value;
  };
}
