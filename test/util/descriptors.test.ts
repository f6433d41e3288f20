import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Conditions } from "../../src/util/conditions.js";
import { ConnectionCap, descriptorLimit, descriptorShares } from "../../src/util/descriptors.js";
import { FakeClock } from "../support/clock.js";

describe("Descriptor shares", () => {
  test("the soft limit is read as Linux writes it; without one it is 1024", () => {
    const line = "Max open files            524288               1048576              files     \n";
    assert.equal(
      descriptorLimit(() => `Limit Soft Hard Units\n${line}`),
      524_288,
    );
    assert.equal(
      descriptorLimit(() => line.replace("524288", "unlimited")),
      Number.MAX_SAFE_INTEGER,
    );
    assert.equal(
      descriptorLimit(() => "nothing of the kind"),
      1024,
    );
    assert.equal(
      descriptorLimit(() => {
        throw new Error("ENOENT");
      }),
      1024,
    );
    assert.ok(descriptorLimit() > 0);
  });

  test("leaves 64 descriptors of any limit free", () => {
    for (const limit of [128, 256, 1024, 65_536]) {
      for (const servers of [1, 2]) {
        const { admin, publishers } = descriptorShares(limit, servers);
        assert.ok(admin >= 8 && admin <= 100 && publishers >= 8);
        assert.ok(admin + publishers + servers * 16 <= limit - 64, `${limit} ${servers}`);
      }
    }
    assert.deepEqual(descriptorShares(1024, 1), { admin: 100, publishers: 844 });
  });
});

describe("ConnectionCap", () => {
  function observed() {
    const clock = new FakeClock();
    const told: string[] = [];
    const conditions = new Conditions(clock, ({ type, condition: { code, subject } }) =>
      told.push(`${type === "conditionBegan" ? "began" : "ended"} ${code} ${subject}`),
    );
    const cap = new ConnectionCap(5, { clock, conditions, subject: "ingress", message: "full", fix: "close some" });
    return { clock, told, cap, conditions };
  }

  test("is a standing problem from when it is reached until it was not for ten seconds", () => {
    const { clock, told, cap, conditions } = observed();
    for (let at = 0; at < 1000; at++) cap.limitReached();
    clock.advance(9000);
    cap.limitReached();
    clock.advance(9000);
    assert.deepEqual(told, ["began overloaded ingress"]);
    assert.deepEqual(conditions.active[0]?.details, { maxConnections: 5, refused: 1001 });
    clock.advance(20_000);
    assert.deepEqual(told, ["began overloaded ingress", "ended overloaded ingress"]);
    assert.equal(clock.waiting, 0);
  });

  test("has no timer after close", () => {
    const { clock, cap } = observed();
    cap.limitReached();
    cap.close();
    assert.equal(clock.waiting, 0);
  });
});
