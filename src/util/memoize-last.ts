/**
 * Memoizes the last call of a function: for values that are equal for most clients that reconnect at once, but too large to store for each.
 * Keys are compared with ===.
 */
export function memoizeLast<Key, Value>(make: (key: Key) => Value): (key: Key) => Value {
  let last: { readonly key: Key; readonly value: Value } | undefined;
  return (key) => {
    if (!last || last.key !== key) last = { key, value: make(key) };
    return last.value;
  };
}
