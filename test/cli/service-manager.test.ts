/** What systemd is told, and when; sending it is tested with the real program in test/e2e/service-manager.test.ts. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { ServiceManager } from "../../src/cli/service-manager.js";
import { FakeClock } from "../support/clock.js";
import { recordedLog } from "../support/log.js";

const SOCKET = { NOTIFY_SOCKET: "/run/systemd/notify" };

function setUp(env: NodeJS.ProcessEnv, failure?: Error) {
  const sent: string[] = [];
  const clock = new FakeClock();
  const { log, lines } = recordedLog();
  const open = (failed: (cause: Error) => void) => {
    if (failure) failed(failure);
    return (assignment: string) => void sent.push(assignment);
  };
  let goLive = () => {};
  const live = new Promise<void>((resolve) => {
    goLive = resolve;
  });
  return { manager: new ServiceManager({ env, clock, log, open }), sent, clock, lines, live, goLive };
}

/** Lets the messages that are queued be sent. */
const turn = () => new Promise((resolve) => setImmediate(resolve));

describe("ServiceManager", () => {
  test("reports readiness when Mongrel2 has answered, and not before", async () => {
    const { manager, sent, live, goLive } = setUp(SOCKET);
    const started = manager.started(live);
    await turn();
    assert.deepEqual(sent, []);
    goLive();
    await started;
    await turn();
    assert.deepEqual(sent, ["STATUS=Mongrel2 is connected", "READY=1"]);
    manager.close();
  });

  test("reports readiness after a minute without a Mongrel2, and says so", async () => {
    const { manager, sent, clock, live, goLive } = setUp(SOCKET);
    const started = manager.started(live);
    clock.advance(59_999);
    await turn();
    assert.deepEqual(sent, []);
    clock.advance(1);
    await started;
    await turn();
    assert.deepEqual(sent, ["STATUS=waiting for Mongrel2, which has not answered yet", "READY=1"]);
    goLive();
    await turn();
    assert.deepEqual(sent.slice(2), ["STATUS=Mongrel2 is connected", "READY=1"]);
    manager.close();
  });

  test("feeds the watchdog twice in its interval until close()", async () => {
    const { manager, sent, clock, live } = setUp({
      ...SOCKET,
      WATCHDOG_USEC: "30000000",
      WATCHDOG_PID: `${process.pid}`,
    });
    void manager.started(live);
    clock.advance(30_000);
    await turn();
    assert.deepEqual(sent, ["WATCHDOG=1", "WATCHDOG=1"]);
    manager.close();
    clock.advance(20_000);
    await turn();
    assert.equal(sent.length, 2);
  });

  test("feeds no watchdog that is for another process", async () => {
    const { manager, sent, clock, live } = setUp({ ...SOCKET, WATCHDOG_USEC: "30000000", WATCHDOG_PID: "1" });
    void manager.started(live);
    clock.advance(45_000);
    await turn();
    assert.deepEqual(sent, []);
    manager.close();
  });

  test("brackets a reload, and reports a stop last", async () => {
    const { manager, sent, live, goLive } = setUp(SOCKET);
    manager.reloading(() => sent.push("the reload"));
    manager.stopping();
    const started = manager.started(live);
    goLive();
    await started;
    assert.deepEqual(sent, ["RELOADING=1", "the reload", "READY=1", "STOPPING=1"]);
    manager.close();
  });

  test("sends nothing without a service manager", async () => {
    const { manager, sent, live, goLive } = setUp({ WATCHDOG_USEC: "30000000" });
    const started = manager.started(live);
    goLive();
    await started;
    manager.reloading(() => {});
    manager.stopping();
    assert.deepEqual(sent, []);
  });

  test("logs that systemd cannot be notified, with the fix", () => {
    const { lines } = setUp(SOCKET, new Error("systemd-notify ended with exit code 127"));
    assert.equal(lines.length, 1);
    assert.match(String(lines[0]?.fix), /install the program systemd-notify/);
  });
});
