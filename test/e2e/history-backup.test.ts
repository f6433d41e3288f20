/** `m2push history backup` while the daemon publishes, and `restore` after the history is lost, with the built program. */
import assert from "node:assert/strict";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { startPair } from "../support/pair.js";
import { PROJECT, run } from "../support/processes.js";

const PROGRAM = join(PROJECT, "dist/cli/main.js");
const FIRST_COUNT = 200;
const STEP_COUNT = 5;

describe("Backup of the history, end to end", () => {
  test("a backup under load holds every event that was acknowledged before it, in order; the stream misses nothing", async (t) => {
    const pair = await startPair(t);
    const history = (action: string) =>
      run(process.execPath, [PROGRAM, "history", action, "backup", "-c", pair.daemon.configFile], pair.dir);
    const client = await pair.stream();
    const publish = async (from: number, to: number) => {
      for (let at = from; at <= to; at++) await pair.publisher.publish(`${at}`, "news");
    };
    await publish(1, FIRST_COUNT);
    await client.until(({ events }) => events.length === FIRST_COUNT, "the events before the backup");
    let published = FIRST_COUNT;
    const more = async () => {
      await publish(published + 1, published + STEP_COUNT);
      published += STEP_COUNT;
      await client.until(({ events }) => events.length === published, "the events under way");
    };
    let isDone = false;
    const backup = history("backup").finally(() => {
      isDone = true;
    });
    while (!isDone) await more();
    await more();
    const { exit, output } = await backup;
    assert.equal(exit.code, 0, output);
    const count = Number(/^(\d+) events of epoch/.exec(output)?.[1]);
    assert.ok(count >= FIRST_COUNT && count < published, output);
    assert.deepEqual(
      client.events.map(({ data }) => Number(data)),
      Array.from({ length: published }, (_, at) => at + 1),
    );
    assert.match((await history("restore")).output, /is not empty|is in use by the m2push with pid/);

    await pair.daemon.stop();
    for (const name of ["history.mdb", "history.mdb-lock"]) rmSync(join(pair.dir, "data", name));
    assert.match((await history("restore")).output, new RegExp(`^${count} events of epoch \\w+ restored to `));
    // Before the restart: the next daemon adopts this stream, too, and it gets the new event.
    const ids = new Set(client.events.map(({ id }) => id));
    const from = client.events[FIRST_COUNT - 1]?.id ?? "";
    const lost = client.events[count]?.id ?? "";
    await pair.restart();
    const back = await pair.stream({ "last-event-id": from });
    const ahead = await pair.stream({ "last-event-id": lost });
    await pair.publisher.publish("after", "news");
    await back.until(({ events }) => events.at(-1)?.data === "after", "the new event");
    await ahead.until(({ events }) => events.at(-1)?.data === "after", "the new event");
    // What was published after the backup is lost, and each client that comes back is told so.
    const kinds = ({ events }: typeof back) => events.map(({ type, data }) => (type === "m2push-gap" ? type : data));
    assert.deepEqual(kinds(ahead), ["m2push-gap", "after"]);
    assert.deepEqual(kinds(back).slice(-2), ["m2push-gap", "after"]);
    const restored = client.events.slice(FIRST_COUNT, count).map(({ id, data }) => [id, data]);
    assert.deepEqual(
      back.events.slice(0, -2).map(({ id, data }) => [id, data]),
      restored,
    );
    // Ids after the backup are never given out again.
    assert.ok(!ids.has(back.events.at(-1)?.id ?? ""));
    t.diagnostic(`${count} of ${published} events are in the backup`);
  });
});
