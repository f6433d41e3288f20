import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { Audience, addressesOf } from "../../src/delivery/audience.js";
import { Client } from "../../src/delivery/client.js";
import { EVERYTHING_PUBLIC } from "../../src/matching/interest.js";
import { FakeClock } from "../support/clock.js";
import { RecordingOutlet } from "../support/outlet.js";

/** Counts the addresses that are made. */
class CountingOutlet extends RecordingOutlet {
  made = 0;

  override address(ids: readonly number[]): Buffer {
    this.made++;
    return super.address(ids);
  }
}

function setUp(maxTargets: number) {
  const outlet = new CountingOutlet(new FakeClock(), maxTargets);
  const audience = () => new Audience<Client>(EVERYTHING_PUBLIC, "http://hub.example/", outlet, 0);
  const client = (id: number, audience: Audience<Client>, creditLimit?: number) =>
    new Client({ id, remote: "", since: 0, creditLimit }, audience);
  return { outlet, audience, client };
}

const idsOf = (addresses: readonly Buffer[]): number[] =>
  addresses.flatMap((it) => it.toString().split(" ").map(Number));

describe("Audience", () => {
  test("addresses every member once, in as few addresses as possible, after any sequence of joins and leaves (P4, P7)", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 5 }), fc.array(fc.nat(30), { maxLength: 80 }), (maxTargets, steps) => {
        const { audience: make, client: makeClient } = setUp(maxTargets);
        const audience = make();
        const members = new Map<number, Client>();
        for (const id of steps) {
          const member = members.get(id);
          if (member) {
            audience.remove(member);
            members.delete(id);
          } else {
            const client = makeClient(id, audience);
            audience.add(client);
            members.set(id, client);
          }
          const addresses = audience.addresses();
          assert.equal(addresses.length, Math.ceil(members.size / maxTargets));
          assert.deepEqual(
            idsOf(addresses).sort((a, b) => a - b),
            [...members.keys()].sort((a, b) => a - b),
          );
          for (const [slot, client] of audience.members.entries()) assert.equal(client.slot, slot);
        }
      }),
    );
  });

  test("makes two addresses again after a leave, not all of them", () => {
    const { outlet, audience: make, client } = setUp(128);
    const audience = make();
    const members = Array.from({ length: 10_000 }, (_, id) => client(id, audience));
    for (const member of members) audience.add(member);
    audience.addresses();
    assert.equal(outlet.made, 79);
    audience.addresses();
    assert.equal(outlet.made, 79);
    audience.remove(members[5_000] as Client);
    audience.addresses();
    assert.equal(outlet.made, 81);
    audience.add(client(20_000, audience));
    audience.addresses();
    assert.equal(outlet.made, 82);
  });

  test("shares frames among small audiences, and uses the prepared addresses of one that fills frames by itself", () => {
    const { outlet, audience: make, client } = setUp(4);
    const sizes = [1, 1, 5, 2, 1];
    let next = 1;
    const audiences = sizes.map((size) => {
      const audience = make();
      for (let count = 0; count < size; count++) audience.add(client(next++, audience));
      return audience;
    });
    const addresses = addressesOf(audiences, outlet);
    assert.deepEqual(
      addresses.map((it) => it.toString()),
      ["3 4 5 6", "7", "1 2 8 9", "10"],
    );
    assert.deepEqual(addressesOf([], outlet), []);
  });

  test("reads credit only where members have a limit, and debits all of them", () => {
    const { audience: make, client } = setUp(128);
    const audience = make();
    const [free, metered, poor] = [client(1, audience), client(2, audience, 1000), client(3, audience, 10)];
    audience.add(free);
    assert.deepEqual(audience.withoutCredit(1e9), []);
    audience.add(metered);
    audience.add(poor);
    assert.deepEqual(audience.withoutCredit(100), [poor]);
    audience.remove(poor);
    audience.debit(400);
    assert.deepEqual([metered.creditAvailable, free.creditAvailable], [600, Number.POSITIVE_INFINITY]);
    assert.deepEqual(audience.withoutCredit(601), [metered]);
    audience.remove(metered);
    assert.deepEqual(audience.withoutCredit(1e9), []);
  });

  test("returns all members when they are removed, and drops prepared addresses", () => {
    const { audience: make, client } = setUp(2);
    const audience = make();
    const members = [1, 2, 3].map((id) => client(id, audience, 10));
    for (const member of members) audience.add(member);
    audience.addresses();
    assert.deepEqual(audience.removeAll(), members);
    assert.deepEqual([audience.size, audience.addresses(), audience.withoutCredit(100)], [0, [], []]);
  });
});
