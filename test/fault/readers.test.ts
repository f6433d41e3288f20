/** Clients that stop reading: what do the others notice? */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, test } from "node:test";
import { crowd, Feed, verifyReceived } from "../support/crowd.js";
import { startPair } from "../support/pair.js";
import { RawConnection } from "../support/sse-client.js";

const REQUEST = "GET /esupdates HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n";

describe("Readers, under faults", () => {
  for (const flowControl of [0, 1]) {
    test(`suspended readers cost no other client an event, and no memory (flow control ${flowControl})`, async (t) => {
      const pair = await startPair(t, {
        settings: { "download.flow_control": flowControl, "limits.content_length": 327_680 },
        config: { auth: { allow_publish_from: ["127.0.0.1"] } },
      });
      // Few: what they read is parsed by this process, and with 40 that was what an event waited for (0.1 s).
      const browsers = await crowd(pair, 10, (end) => t.after(end));
      for (let count = 0; count < 10; count++) {
        const frozen = new RawConnection(pair.mongrel2.port);
        t.after(() => frozen.close());
        frozen.pause();
        frozen.write(REQUEST);
      }
      await pair.daemon.logged(({ event, clients }) => event === "connect" && clients === 20, "the frozen ones");
      const memory = () =>
        Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pair.daemon.pid}/status`, "utf8"))?.[1]);
      const before = memory();
      // 8 MB to each: more than the kernel and Mongrel2 hold for one that does not read.
      const feed = new Feed(pair, 40_000);
      await feed.more(200);
      await verifyReceived(browsers, feed, { duplicates: 0 });
      assert.ok(browsers.every(({ opens }) => opens === 1));
      assert.ok(memory() - before < 50_000, `grew by ${memory() - before} kB`);
    });
  }
});
