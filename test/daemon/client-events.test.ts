import assert from "node:assert/strict";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { describe, test } from "node:test";
import { startClientEvents } from "../../src/daemon/client-events.js";
import { DaemonContext } from "../../src/daemon/daemon-context.js";
import { DaemonState } from "../../src/observability/admin/daemon-state.js";
import { systemClock } from "../../src/util/clock.js";
import { Conditions } from "../../src/util/conditions.js";
import { load } from "../config/harness.js";
import { recordedLog } from "../support/log.js";
import { freePort } from "../support/ports.js";
import { removeDirectory, temporaryDirectory } from "../support/processes.js";

describe("startClientEvents", () => {
  test("releases the address of [events] zmq when webhooks cannot be stored", async (t) => {
    const dir = temporaryDirectory();
    t.after(() => removeDirectory(dir));
    const folder = join(dir, "file");
    writeFileSync(folder, "not a folder");
    const port = await freePort();
    const secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const webhook = `[[webhook]]\nurl = "https://backend.example/"\nsecret = "${secret}"\n`;
    const { config } = load(`[history]\npath = "${folder}"\n[events]\nzmq = "tcp://127.0.0.1:${port}"\n${webhook}`);
    const { signal } = new AbortController();
    const options = { log: recordedLog().log, clock: systemClock, drain: false, signal, takeover: false };
    const context = new DaemonContext(config, options);
    context.observe = () => {};
    context.conditions = new Conditions(systemClock, context.observe);
    context.state = new DaemonState(systemClock);
    await assert.rejects(startClientEvents(context), { code: "storage_unusable" });
    const server = createServer();
    t.after(() => server.close());
    server.listen(port, "127.0.0.1");
    await once(server, "listening");
  });
});
