/** What happens to two nodes at random. */
import fc from "fast-check";

export const TOPICS = ["a", "b", "kept/1", "kept/2"] as const;

export type StateKind = "latest" | "last" | "since";

export type Command =
  | {
      readonly do: "publish";
      readonly node: number;
      readonly topics: readonly string[];
      readonly isPrivate: boolean;
      readonly ttlMs: number | undefined;
      readonly isFinal: boolean;
      readonly hasOwnId: boolean;
    }
  | {
      readonly do: "remove";
      readonly node: number;
      readonly what: "topic" | "id" | "before";
      /** Counted back from the newest event. */
      readonly which: number;
      /** The wire of the node is cut when the record is stored: it learns nothing of it, and does not carry it out. */
      readonly isCut: boolean;
    }
  | {
      readonly do: "connect";
      readonly node: number;
      readonly topics: readonly string[];
      readonly hasGrants: boolean;
      readonly state: { readonly kind: StateKind; readonly count: number } | undefined;
    }
  | { readonly do: "change"; readonly which: number; readonly topics: readonly string[] }
  | { readonly do: "reconnect"; readonly node: number; readonly which: number }
  | { readonly do: "pass"; readonly milliseconds: number }
  | { readonly do: "cut" | "restore" | "restart"; readonly node: number }
  | { readonly do: "acknowledge" | "turn" };

const node = fc.nat(1);
const topic = fc.constantFrom(...TOPICS);
/** None = every topic. */
const selected = fc.uniqueArray(topic, { maxLength: 2 });
const is = <Name extends string>(name: Name) => fc.constant(name);

const publish = fc.record({
  do: is("publish"),
  node,
  topics: fc.uniqueArray(topic, { minLength: 1, maxLength: 2 }),
  isPrivate: fc.integer({ max: 3 }).map((it) => it === 3),
  ttlMs: fc.option(fc.constantFrom(1, 500, 1500), { nil: undefined, freq: 2 }),
  isFinal: fc.integer({ max: 5 }).map((it) => it === 5),
  hasOwnId: fc.boolean(),
});
const remove = fc.record({
  ...{ do: is("remove"), node, what: fc.constantFrom("topic" as const, "id" as const, "before" as const) },
  ...{ which: fc.oneof(fc.nat(3), fc.nat(1000)), isCut: fc.constant(false) },
});
const state = fc.record({
  kind: fc.constantFrom<StateKind>("latest", "last", "since"),
  count: fc.integer({ min: 1, max: 6 }),
});
const connect = fc.record({
  ...{ do: is("connect"), node, topics: selected, hasGrants: fc.boolean() },
  state: fc.option(state, { nil: undefined, freq: 2 }),
});
const which = fc.nat(1000);

const turn: Command = { do: "turn" };

/** One node is away while the other one publishes, and perhaps removes. */
const away = fc
  .record({
    node,
    published: fc.array(publish, { minLength: 1, maxLength: 20, size: "max" }),
    removed: fc.option(remove),
  })
  .map(({ node: absent, published, removed }): Command[] => {
    const other = 1 - absent;
    const removal = removed ? [{ ...removed, node: other }, turn, turn, turn, turn] : [];
    return [
      { do: "cut", node: absent },
      ...published.map((it) => ({ ...it, node: other })),
      ...removal,
      { do: "restore", node: absent },
      { do: "pass", milliseconds: 400 },
    ];
  });

/** A node ends before it carries out what it was asked to remove, and the next one there is asked for what is stored. */
const orphaned = fc
  .record({ removed: remove, published: fc.array(publish, { maxLength: 8 }), connected: connect })
  .map(({ removed, published, connected }): Command[] => [
    { ...removed, isCut: true },
    ...published.map((it) => ({ ...it, node: 1 - removed.node })),
    { do: "restart", node: removed.node },
    { ...connected, node: removed.node },
  ]);

/** What happens in turn. `hasFaults`: wires are cut. */
export function commands(hasFaults: boolean, length: { minLength: number; maxLength: number }) {
  const one: fc.Arbitrary<Command> = fc.oneof(
    { weight: 10, arbitrary: publish },
    { weight: 2, arbitrary: remove },
    { weight: 4, arbitrary: connect },
    { weight: 2, arbitrary: fc.record({ do: is("change"), which, topics: selected }) },
    { weight: 3, arbitrary: fc.record({ do: is("reconnect"), node, which }) },
    { weight: 2, arbitrary: fc.record({ do: is("pass"), milliseconds: fc.constantFrom(1, 400, 1000) }) },
    { weight: 1, arbitrary: fc.record({ do: is("restart"), node }) },
    { weight: 6, arbitrary: fc.record({ do: fc.constantFrom("acknowledge" as const, "turn" as const) }) },
  );
  const faults = fc
    .record({ do: fc.constantFrom("cut" as const, "restore" as const), node })
    .map((it): Command[] => [it]);
  const several = fc.oneof(
    { weight: 30, arbitrary: one.map((it) => [it]) },
    { weight: hasFaults ? 1 : 0, arbitrary: faults },
    { weight: hasFaults ? 1 : 0, arbitrary: away },
    { weight: hasFaults ? 1 : 0, arbitrary: orphaned },
  );
  return fc.array(several, length).map((it) => it.flat());
}
