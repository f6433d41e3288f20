import assert from "node:assert/strict";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, type TestContext, test } from "node:test";
import { DaemonContext } from "../../src/daemon/daemon-context.js";
import { lockDataFolder, openClients, openEventLog } from "../../src/daemon/open-event-log.js";
import type { DaemonState } from "../../src/observability/admin/daemon-state.js";
import type { Publication } from "../../src/protocol/publication.js";
import { systemClock } from "../../src/util/clock.js";
import { Conditions } from "../../src/util/conditions.js";
import { load } from "../config/harness.js";
import { Changes } from "../support/deadline.js";
import { recordedLog } from "../support/log.js";
import { freePort } from "../support/ports.js";
import { removeDirectory, temporaryDirectory } from "../support/processes.js";

interface Options {
  readonly store: "lmdb" | "memory";
  /** Below the test's folder. */
  readonly path?: string;
  readonly nats?: string;
}

function setUp(t: TestContext, { store, path = "data", nats }: Options) {
  const dir = temporaryDirectory();
  t.after(() => removeDirectory(dir));
  const folder = join(dir, path);
  const cluster = nats === undefined ? "" : `[cluster]\nnats = ["${nats}"]\n`;
  const { config } = load(`[history]\nstore = "${store}"\npath = "${folder}"\n${cluster}`);
  const { log, lines } = recordedLog();
  const ends = new AbortController();
  const context = new DaemonContext(config, {
    log,
    clock: systemClock,
    drain: false,
    signal: ends.signal,
    takeover: false,
  });
  const began = new Changes();
  context.conditions = new Conditions(systemClock, () => began.tell());
  context.state = { clients: 0 } as DaemonState;
  return { context, dir, folder, lines, began, ends };
}

const draft = { topics: ["t"] as const, data: "a", private: false };

describe("lockDataFolder", () => {
  test("leaves the folder of an LMDB history to the history, which locks it", async (t) => {
    const { context, folder } = setUp(t, { store: "lmdb" });
    assert.equal(await lockDataFolder(context), undefined);
    assert.ok(!existsSync(folder));
    const log = await openEventLog(context);
    t.after(() => log.close());
    await assert.rejects(openEventLog(context), { code: "storage_unusable" });
  });

  test("locks the folder of the client record where the history is elsewhere", async (t) => {
    for (const options of [{ store: "memory" }, { store: "lmdb", nats: "nats://127.0.0.1:1" }] as const) {
      const { context } = setUp(t, options);
      const lock = await lockDataFolder(context);
      assert.ok(lock, options.store);
      await assert.rejects(lockDataFolder(context), { code: "storage_unusable" });
      await lock.release();
    }
  });

  test("with a history in memory starts without a folder that cannot be used, and reports its condition", async (t) => {
    const { context, dir, folder } = setUp(t, { store: "memory", path: "file/data" });
    writeFileSync(join(dir, "file"), "no folder");
    assert.equal(await lockDataFolder(context), undefined);
    const clients = await openClients(context, "epoch");
    const [condition] = context.conditions.active;
    assert.deepEqual([condition?.code, condition?.subject], ["client_record_failing", folder]);
    await clients.close();
  });

  test("logs that the pid file cannot be written, which a takeover needs", async (t) => {
    const { context, folder, lines } = setUp(t, { store: "memory" });
    mkdirSync(join(folder, "daemon.pid"), { recursive: true, mode: 0o700 });
    const lock = await lockDataFolder(context);
    t.after(() => lock?.release());
    assert.deepEqual(
      lines.map(({ event, msg }) => [event, msg]),
      [["history", lock?.warning]],
    );
    assert.match(lock?.warning ?? "", /daemon\.pid/);
  });
});

describe("openEventLog", () => {
  for (const kind of ["memory", "lmdb"] as const) {
    test(`opens a history of this machine (${kind}) whose bus stores in it`, async (t) => {
      const { context } = setUp(t, { store: kind });
      const log = await openEventLog(context);
      const store = (publications: readonly Publication[]) => {
        const [stored] = publications.map((publication) => log.history.append(publication));
        log.history.commit();
        return stored;
      };
      await log.bus.start(store, assert.fail);
      await log.bus.publish(draft);
      assert.deepEqual([log.nodes, log.history.count], [undefined, 1]);
      const clients = await openClients(context, log.history.epoch);
      await clients.close();
      assert.deepEqual(context.conditions.active, []);
      await log.bus.close();
      await log.close();
    });
  }

  test("waits for NATS where the position in the stream is unknown, until the daemon is stopped", async (t) => {
    const { context, began, ends } = setUp(t, { store: "memory", nats: `nats://127.0.0.1:${await freePort()}` });
    const opened = assert.rejects(openEventLog(context), { code: "unavailable" });
    await began.until(() => context.conditions.has("cluster_unavailable", ""), "the condition");
    ends.abort();
    await opened;
  });
});
