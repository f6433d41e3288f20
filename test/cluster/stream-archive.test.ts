/** Histories that are imported into a stream and exported from it, with a real NATS server. */
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { Readable } from "node:stream";
import { describe, type TestContext, test } from "node:test";
import fc from "fast-check";
import { addHistory } from "../../src/cli/history-command.js";
import { decodeEarlierEpoch, encodeEarlierEpoch, OffsetShift, shiftedOffset } from "../../src/cluster/epoch-map.js";
import { natsDial } from "../../src/cluster/nats.js";
import { ARCHIVE_END, encodeEntry, encodeHeader } from "../../src/protocol/archive.js";
import { positionDraft } from "../../src/protocol/position.js";
import { systemClock } from "../../src/util/clock.js";
import { runCommand } from "../cli/harness.js";
import { ids, readAll } from "../contract/bus.js";
import { type NatsServer, startNats } from "../support/nats.js";
import { hurried, natsOptions, openEnd } from "./course.js";
import { daemon } from "./daemon.js";

const EPOCH = "old123";

/** An archive with events at some offsets; every third has an id of its own. */
function archive(offsets: readonly number[], { floor = 0, last = offsets.at(-1) ?? 0, data = "x" } = {}): string {
  const entries = offsets.map((offset) => {
    const own = offset % 3 === 0 ? { id: `urn:${offset}` } : {};
    return encodeEntry(
      positionDraft({ topics: ["t"], data: `${data} ${offset}`, private: false, ...own }, EPOCH, offset, offset),
    );
  });
  return encodeHeader({ epoch: EPOCH, floor, last }) + entries.join("") + ARCHIVE_END;
}

const range = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, index) => from + index);
const dataOf = (text: string) => [...text.matchAll(/"data":"([^"]*)"/g)].map(([, data]) => data);
const idOf = (offset: number) => (offset % 3 === 0 ? `urn:${offset}` : `#${EPOCH}.${offset}`);

function history(nats: NatsServer, action: string, stdin = "", more = "", clock = systemClock) {
  const file = join(nats.dir, "m2push.toml");
  writeFileSync(file, `[cluster]\nnats = ["${nats.url}"]\nstream = "test"\n${more}`);
  return runCommand(addHistory, ["history", ...action.split(" "), "-c", file], {
    stdin: Readable.from([Buffer.from(stdin)]),
    clock,
  });
}

async function imports(nats: NatsServer, text: string, more?: string): Promise<string> {
  const { stdout, stderr } = await history(nats, "import", text, more);
  return stdout + stderr;
}

const dial = (nats: NatsServer) => natsDial(natsOptions(nats.url), systemClock)();

describe("Stream archive", () => {
  test("an archive that is imported is there in order, with its ids and times, and comes out as it went in", async (t) => {
    const nats = await startNats(t);
    const text = archive(range(1, 2000));
    assert.equal(await imports(nats, text), "2000 events imported\n");
    const { stdout, code } = await history(nats, "export");
    assert.equal(code, 0);
    const bare = (archived: string) =>
      archived
        .split("\n")
        .slice(1)
        .map((line) => line.replace(/"offset":\d+,/, ""));
    assert.deepEqual(bare(stdout), bare(text));
    const end = await openEnd(t, natsDial(natsOptions(nats.url), systemClock));
    assert.deepEqual(ids(await readAll(end)), range(1, 2000).map(idOf));
    assert.deepEqual(
      end.warnings.filter((warning) => /left out/.test(warning)),
      [],
    );
  });

  test("events are purged from a stream: its daemon shows them no more, and an export leaves them out", async (t) => {
    const nats = await startNats(t);
    await imports(nats, archive(range(1, 700)));
    const a = await daemon(t, nats.url);
    const purge = async (options: string) => (await history(nats, `purge ${options}`)).stdout;
    assert.equal(await purge("--id urn:699"), "1 event removed\n");
    assert.equal(await purge("--before 1970-01-01T00:00:00.101Z"), "100 events removed\n");
    assert.equal(await purge("--topic none"), "0 events removed\n");
    const left = range(101, 700).filter((offset) => offset !== 699);
    const { stdout } = await history(nats, "export");
    assert.deepEqual(
      dataOf(stdout),
      left.map((offset) => `x ${offset}`),
    );
    await a.until(({ heard }) => heard.filter(({ removes }) => removes).length === 2, "two removals");
    while (a.end.history.removals.size > 0) await new Promise((resolve) => setImmediate(resolve));
    const shown = await readAll(a.end, 0);
    assert.deepEqual([ids(shown), a.end.history.floor, a.gaps], [left.map(idOf), 0, []]);
    assert.doesNotMatch(a.opened.warnings.join(), /erase|skipped/);
  });

  test("every position of before is one now: of events, of events with an id of their own, of none", async (t) => {
    const nats = await startNats(t);
    await imports(nats, archive([...range(6, 10), ...range(1_048_587, 1_048_590)], { floor: 5, last: 2_000_000 }));
    const listener = await daemon(t, nats.url);
    await listener.opened.up();
    const live = await listener.publish("live");
    const { history } = listener.end;
    const now = async (offset: number) => history.find(`${EPOCH}.${offset}`);
    assert.deepEqual(await Promise.all([6, 8, 9, 10].map(now)), [1, 3, 4, 5]);
    assert.deepEqual(await Promise.all([11, 500_000, 1_048_586].map(now)), [5, 5, 5]);
    assert.deepEqual(await Promise.all([1_048_587, 1_048_590, 1_999_999, 2_000_000].map(now)), [6, 9, 9, 9]);
    assert.deepEqual(await Promise.all([5, 4, 2_000_001].map(now)), [0, undefined, undefined]);
    assert.equal(await history.find("other.7"), undefined);
    assert.deepEqual([live.offset, listener.heard.length], [11, 1]);
  });

  test("positions move as events do, whatever the gaps", () => {
    const offsets = fc.uniqueArray(fc.integer({ min: 1, max: 60 }), { maxLength: 40 });
    fc.assert(
      fc.property(offsets, fc.nat({ max: 1000 }), fc.nat({ max: 70 }), (all, base, asked) => {
        const sorted = all.toSorted((a, b) => a - b);
        const shift = new OffsetShift(0);
        for (const offset of sorted) shift.add(offset);
        const note = decodeEarlierEpoch(encodeEarlierEpoch({ epoch: EPOCH, last: 60, runs: shift.ranges(base) }));
        const seen = sorted.filter((offset) => offset <= asked).length;
        assert.equal(note && shiftedOffset(note, asked), asked > 60 ? undefined : base + seen);
      }),
    );
  });

  /** What an import that was broken off has left: that of an archive which ends in the middle. */
  async function breakOff(t: TestContext, count: number) {
    const nats = await startNats(t);
    const all = archive(range(1, 1000));
    const some = all
      .split("\n")
      .slice(0, count + 1)
      .join("\n");
    const { code, stderr } = await history(nats, "import", `${some}\n`);
    assert.deepEqual(
      [code, stderr],
      [1, `m2push: the input ends after line ${count + 1}, and it is not whole: export it again\n`],
    );
    return { nats, all };
  }

  test("an import that was broken off is gone on with: nothing comes twice, nothing is left out", async (t) => {
    const { nats, all } = await breakOff(t, 400);
    assert.equal(await imports(nats, all), "600 events imported; 400 had already been imported\n");
    assert.deepEqual(dataOf((await history(nats, "export")).stdout), dataOf(all));
    assert.equal(await imports(nats, all), "0 events imported; 1000 had already been imported\n");
    const end = await openEnd(t, natsDial(natsOptions(nats.url), systemClock));
    assert.equal(await end.history.find(`${EPOCH}.999`), 999);
  });

  test("a stream that may hold fewer keeps the newest, and that is said", async (t) => {
    const nats = await startNats(t);
    const said = await imports(nats, archive(range(1, 300)), "\n[history]\nmax_events = 101\n");
    assert.match(said, /^300 events imported; the limits of \[history\] keep the newest 100\n$/);
    assert.deepEqual(dataOf((await history(nats, "export")).stdout)[0], "x 201");
  });

  test("a stream that holds something else is left alone", async (t) => {
    const { nats, all } = await breakOff(t, 400);
    const other = archive(range(1, 1000), { data: "other" });
    assert.match(
      await imports(nats, other),
      /the stream is not empty, it holds 400 messages that are not of this import/,
    );
    assert.equal(await imports(nats, all), "600 events imported; 400 had already been imported\n");
  });

  test("a stream that daemons follow is left alone: their clients would take old events for new ones", async (t) => {
    const nats = await startNats(t);
    const listener = await daemon(t, nats.url);
    const { stderr } = await history(nats, "import", archive([1, 2]), "", hurried(20));
    assert.match(stderr, /1 daemon follows the stream: stop that first/);
    assert.equal(listener.heard.length, 0);
  });

  test("a stream that was emptied takes back what was exported from it", async (t) => {
    const nats = await startNats(t);
    const first = await openEnd(t, natsDial(natsOptions(nats.url), systemClock));
    await first.bus.start(() => undefined);
    for (let count = 0; count < 20; count++)
      await first.bus.publish({ topics: ["t"], data: `${count}`, private: false });
    const { epoch } = first.history;
    await first.close();
    const { stdout } = await history(nats, "export");
    await nats.kill9();
    nats.forget();
    await nats.start();
    const again = await dial(nats);
    await again.create(epoch);
    await again.close();
    assert.equal(await imports(nats, stdout), "20 events imported\n");
    const end = await openEnd(t, natsDial(natsOptions(nats.url), systemClock));
    assert.equal(await end.history.find(`#${epoch}.7`), 7);
  });

  test("what NATS does not take is named, and what came before it stays", async (t) => {
    const nats = await startNats(t, { more: "max_payload: 10000" });
    const text = archive([1, 2]).replace("x 2", "y".repeat(20_000));
    const said = await imports(nats, text);
    assert.match(said, /import\.old123\.2: NATS does not take an event of \d+ bytes \(max_payload\)/);
    assert.doesNotMatch(said, /yyy/);
  });

  test("without NATS, or without a stream, both say so", async (t) => {
    const nats = await startNats(t);
    assert.match((await history(nats, "export")).stderr, /^m2push: there is no stream test/);
    await nats.kill9();
    for (const action of ["export", "import"]) {
      assert.match(
        (await history(nats, action, archive([1]))).stderr,
        /^m2push: NATS does not answer at 127\.0\.0\.1:\d+: /,
      );
    }
  });
});
