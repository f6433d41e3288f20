import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { Deflater } from "../../src/delivery/deflater.js";
import { Windows } from "../../src/delivery/windows.js";
import { FakeClock } from "../support/clock.js";

function setUp(maxCount: number) {
  const clock = new FakeClock();
  let open = 0;
  const deflater = (): Deflater => {
    open++;
    return { compress: (body) => body, restart() {}, close: () => open-- };
  };
  const windows = new Windows({ clock, maxCount, open: deflater });
  const lost: string[] = [];
  const owner = (name: string) => ({ windowLost: () => void lost.push(name) });
  return { clock, windows, lost, owner, open: () => open };
}

describe("Windows", () => {
  test("there are never more than the limit, and a released one is free for another owner", () => {
    const { windows, owner, open } = setUp(2);
    const [a, b, c] = [owner("a"), owner("b"), owner("c")];
    assert.ok(windows.take(a) && windows.take(b));
    assert.equal(windows.take(c), undefined);
    windows.release(a);
    assert.ok(windows.take(c));
    assert.deepEqual([windows.count, open()], [2, 2]);
    windows.release(b);
    windows.release(c);
    windows.release(c);
    assert.deepEqual([windows.count, open()], [0, 0]);
  });

  test("the one that was idle for longest is taken away after 10 s", () => {
    const { clock, windows, owner, lost, open } = setUp(2);
    const [first, second] = [windows.take(owner("a")), windows.take(owner("b"))];
    assert.ok(first && second);
    clock.advance(9_999);
    first.usedAt = clock.monotonic();
    assert.equal(windows.take(owner("c")), undefined, "none is idle yet");
    clock.advance(1_000);
    assert.ok(windows.take(owner("c")));
    assert.deepEqual([lost, windows.count, open()], [["b"], 2, 2]);
  });

  test("is searched for an idle one once a second", () => {
    const { clock, windows, owner } = setUp(2);
    const window = windows.take(owner("a"));
    windows.take(owner("b"));
    clock.advance(20_000);
    assert.ok(windows.take(owner("c")), "one of both");
    assert.equal(windows.take(owner("d")), undefined, "the other one a second later");
    clock.advance(1_000);
    assert.ok(windows.take(owner("d")));
    assert.ok(window);
  });
});
