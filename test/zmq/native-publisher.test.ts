import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { GREETING, readyFrame } from "../../src/protocol/zmtp.js";
import { systemClock } from "../../src/util/clock.js";
import { MAX_UNSENT_BYTES } from "../../src/zmq/event-publisher.js";
import { NativePublisher } from "../../src/zmq/native-publisher.js";
import { eventPublisherContract, startPublisher, subscribe, untilSubscribed } from "../contract/event-publisher.js";
import { RawConnection } from "../support/sse-client.js";

const cap = { maxConnections: 10, limitReached() {} };
const open = (spec: string) => new NativePublisher({ spec, clock: systemClock, cap });

eventPublisherContract("NativePublisher", open);

describe("NativePublisher, slow subscribers", () => {
  test("one that does not read loses events, which are counted; the others lose none", async (t) => {
    const { spec, publish, publisher } = await startPublisher(t, open);
    const slow = new RawConnection(Number(spec.split(":").at(-1)));
    t.after(() => slow.close());
    slow.write(Buffer.concat([GREETING, readyFrame("SUB"), Buffer.from("\0\x02\x01s")]));
    await slow.until(({ text }) => text.includes("READY"), "the handshake");
    slow.pause();
    const quick = subscribe(t, spec, "q");
    await untilSubscribed(publish, quick, "q");
    const body = "x".repeat(100_000);
    // More than the publisher's share and what the operating system takes (at most 6 MB on each side).
    for (let number = 0; publisher.dropped === 0; number++) {
      assert.ok(number < 1000, "nothing was dropped");
      publish("s", body);
      await new Promise(setImmediate);
    }
    const sent = body.length * 40;
    assert.ok(sent >= MAX_UNSENT_BYTES);
    publish("q", "unharmed");
    assert.deepEqual(await quick.next(), ["q", "unharmed"]);
  });
});
