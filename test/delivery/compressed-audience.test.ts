import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { CompressedAudience } from "../../src/delivery/compressed-audience.js";
import { encodeFor } from "../../src/delivery/compressed-bodies.js";
import { Compression } from "../../src/delivery/compression.js";
import { EVERYTHING_PUBLIC } from "../../src/matching/interest.js";
import { FakeClock } from "../support/clock.js";
import { RecordingOutlet } from "../support/outlet.js";

class Somebody {
  slot = -1;
  readonly id: number;
  readonly creditLimit = Number.POSITIVE_INFINITY;
  readonly creditAvailable = Number.POSITIVE_INFINITY;
  constructor(id: number) {
    this.id = id;
  }
  goLive(slot: number) {
    this.slot = slot;
  }
  moveTo(slot: number) {
    this.slot = slot;
  }
  debit() {}
}

let number = 0;
const event = ({ isPrivate = false, events = 1 } = {}) => {
  const bytes = Buffer.from(`id: #e.${++number}\ndata: {"symbol":"ACME","price":${number * 7}}\n\n`);
  return { bytes: bytes.length, events, isPrivate, body: () => bytes };
};

function setUp(members: number, maxTargets = 4) {
  const clock = new FakeClock();
  const outlet = new RecordingOutlet(clock, maxTargets);
  const failed = (error: Error) => assert.fail(error);
  const compression = new Compression({ mode: "public", clock, failed });
  const audience = new CompressedAudience<Somebody>({ ...EVERYTHING_PUBLIC }, "http://hub/", outlet, 0, compression);
  let next = 0;
  const join = (count: number) => {
    for (let left = count; left > 0; left--) audience.add(new Somebody(++next));
  };
  join(members);
  const send = (body = event()) => {
    compression.begin();
    return encodeFor([audience], body, compression, outlet);
  };
  return { clock, outlet, compression, audience, join, send };
}

const idsOf = (addresses: readonly Buffer[]) =>
  addresses.flatMap((it) => it.toString().split(" ").map(Number)).sort((a, b) => a - b);
const numbers = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, at) => from + at);

describe("CompressedAudience", () => {
  test("has a window from eight members on, and keeps it down to four", () => {
    const { audience, compression, join, send } = setUp(7);
    send();
    assert.deepEqual([compression.windows, audience.riders], [0, 0]);
    join(1);
    send();
    assert.deepEqual([compression.windows, audience.riders], [1, 8]);
    while (audience.size > 4) audience.remove(audience.members[0] as Somebody);
    send();
    assert.deepEqual([compression.windows, audience.riders], [1, 4]);
    audience.remove(audience.members[0] as Somebody);
    send();
    assert.deepEqual([compression.windows, audience.riders], [0, 0]);
  });

  test("who joins is sent bodies alone until waiting has cost as much as a new segment", () => {
    const { audience, join, send } = setUp(8);
    for (let count = 0; count < 10; count++) send();
    join(2);
    const [shared, alone] = send();
    assert.deepEqual([idsOf(shared?.addresses ?? []), idsOf(alone?.addresses ?? [])], [numbers(1, 8), [9, 10]]);
    assert.ok((shared?.wire.length ?? 0) < (alone?.wire.length ?? 0) / 2);
    let bodies = 1;
    while (audience.riders < 10 && bodies < 50) bodies += send().length > 0 ? 1 : 0;
    assert.ok(bodies >= 2 && bodies < 10, `${bodies} bodies`);
  });

  test("a segment for those who waited begins with what they were sent, so bodies stay small", () => {
    const { audience, join, send } = setUp(16);
    for (let count = 0; count < 20; count++) send();
    const usual = send()[0]?.wire.length ?? 0;
    join(1);
    let last = 0;
    while (audience.riders < 17) last = send()[0]?.wire.length ?? 0;
    assert.ok(last < usual * 1.5, `${last} after ${usual}`);
  });

  test("no later body depends on what a private one said", () => {
    const wires = ["correct horse", "battery staple"].map((secret) => {
      number = 1000;
      const { audience, join, send } = setUp(12);
      const bytes = Buffer.from(`id: #e.9\ndata: {"symbol":"ACME","secret":"${secret.padEnd(20)}"}\n\n`);
      const own = { bytes: bytes.length, events: 1, isPrivate: true, body: () => bytes };
      const sent: string[] = [];
      for (let round = 0; round < 60; round++) {
        if (round % 7 === 3) send(own);
        if (round % 5 === 1) join(1);
        if (round % 11 === 2) audience.leaveRide(audience.members[0] as Somebody);
        for (const { wire } of send()) sent.push(wire.toString("hex"));
      }
      return sent;
    });
    assert.deepEqual(wires[0], wires[1]);
  });

  test("a private body goes to all alone, and nobody decodes what follows with a window from before", () => {
    const { audience, send } = setUp(8);
    send();
    const small = send()[0]?.wire.length ?? 0;
    const [body, ...others] = send(event({ isPrivate: true }));
    assert.deepEqual([idsOf(body?.addresses ?? []), others.length, audience.riders], [numbers(1, 8), 0, 0]);
    const first = send()[0]?.wire.length ?? 0;
    assert.ok(first > small * 1.5, `${first}: a new segment`);
  });

  test("heartbeats go through the window while somebody rides, and begin none", () => {
    const { audience, compression, send } = setUp(8);
    send(event({ events: 0 }));
    assert.deepEqual([compression.windows, audience.riders], [0, 0]);
    send();
    send(event({ events: 0 }));
    assert.equal(audience.riders, 8);
  });

  test("a segment ends after 256 kB, and after 5 minutes", () => {
    const { audience, clock, send } = setUp(8);
    const sizes = () => send()[0]?.wire.length ?? 0;
    const first = sizes();
    const second = sizes();
    clock.advance(299_999);
    assert.ok(sizes() < (first + second) / 2);
    clock.advance(1);
    assert.ok(sizes() > (first + second) / 2, "a new segment after the time");
    let bodies = 1;
    while (sizes() < (first + second) / 2) bodies++;
    assert.ok(Math.abs(bodies - 262_144 / event().bytes) < 600, `a new segment after ${bodies} bodies`);
    assert.equal(audience.riders, 8);
  });

  test("riders and waiters are all members, through joins, leaves and single bodies", () => {
    const steps = fc.array(fc.tuple(fc.constantFrom("join", "leave", "alone", "send"), fc.nat()), { maxLength: 150 });
    fc.assert(
      fc.property(steps, fc.integer({ min: 1, max: 5 }), (list, maxTargets) => {
        const { audience, join, send } = setUp(9, maxTargets);
        for (const [name, at] of list) {
          const member = audience.members[at % audience.size];
          if (name === "join") join(1 + (at % 3));
          else if (name === "leave" && member) audience.remove(member);
          else if (name === "alone" && member) {
            const { riders } = audience;
            const isRider = member.slot < riders;
            audience.leaveRide(member);
            assert.equal(audience.riders, isRider ? riders - 1 : riders);
            assert.ok(member.slot >= audience.riders);
          } else if (name === "send" && audience.size > 0) {
            const bodies = send();
            const expected = audience.members.map(({ id }) => id).sort((a, b) => a - b);
            assert.deepEqual(idsOf(bodies.flatMap(({ addresses }) => addresses)), expected);
            const riders = audience.members.slice(0, audience.riders).map(({ id }) => id);
            if (riders.length > 0)
              assert.deepEqual(
                idsOf(bodies[0]?.addresses ?? []),
                riders.sort((a, b) => a - b),
              );
          }
          audience.members.forEach(({ slot }, index) => {
            assert.equal(slot, index);
          });
        }
      }),
    );
  });
});
