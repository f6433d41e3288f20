/** Bodies that Mongrel2 refuses: docs/architecture/mongrel2.md 2.15. */
import assert from "node:assert/strict";
import { readlinkSync } from "node:fs";
import { describe, test } from "node:test";
import { RawConnection } from "../support/sse-client.js";
import { HUB, mercure } from "./mercure.js";

/** What config/mongrel2.conf sets: no file can be made there, so Mongrel2 closes no descriptor that it has not opened. */
const hub = mercure({ settings: { "limits.content_length": 20_480, "upload.temp_store": "/dev/null/XXXXXX" } });

const HEAD = `POST ${HUB} HTTP/1.1\r\nHost: localhost\r\n`;
const BODIES = {
  "above limits.content_length": `${HEAD}Content-Length: 30000\r\n\r\n${"x".repeat(30_000)}`,
  "without a length": `${HEAD}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n`,
};

describe("Large bodies, end to end", () => {
  for (const [name, request] of Object.entries(BODIES)) {
    test(`a body ${name} ends its own connection, and no other`, async (t) => {
      const { port, pid } = hub.pair.mongrel2;
      const standardInput = readlinkSync(`/proc/${pid}/fd/0`);
      for (let round = 1; round <= 20; round++) {
        const stranger = new RawConnection(port);
        stranger.write(request);
        await stranger.over();
        assert.equal(readlinkSync(`/proc/${pid}/fd/0`), standardInput);
        const client = await hub.open(t, "match=a");
        await hub.published({ topic: "a", data: `${round}` });
        assert.equal((await client.next()).data, `${round}`);
      }
    });
  }
});
