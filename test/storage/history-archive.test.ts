/** Histories in LMDB that are exported, and made of exports, by the command. */
import assert from "node:assert/strict";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Readable } from "node:stream";
import { describe, type TestContext, test } from "node:test";
import { addHistory } from "../../src/cli/history-command.js";
import { positionDraft } from "../../src/protocol/position.js";
import type { Publication } from "../../src/protocol/publication.js";
import { openLmdbHistory } from "../../src/storage/lmdb/lmdb-history.js";
import { systemClock } from "../../src/util/clock.js";
import { runCommand } from "../cli/harness.js";
import { damageBlock } from "../support/damage.js";
import { removeDirectory, temporaryDirectory } from "../support/processes.js";

const BOUNDS = { maxEvents: 1e9, maxAge: 1e15, maxBytes: 1e12, durability: "commit" } as const;
const ALL = { through: Number.MAX_SAFE_INTEGER, maxBytes: 1e9 };

function folder(t: TestContext): string {
  const made = temporaryDirectory();
  t.after(() => removeDirectory(made));
  return made;
}

const openIn = (path: string) => openLmdbHistory({ ...BOUNDS, path: join(path, "data") }, systemClock);

async function readAll(path: string) {
  const history = await openIn(path);
  const { epoch, floor, last, count } = history;
  const publications: Publication[] = [];
  for (let at = floor; at < last; ) {
    const page = history.read(at, ALL);
    publications.push(...page.publications.map((it) => ({ ...it, bytes: Buffer.from(it.bytes) })));
    at = Math.max(page.through, at + 1);
  }
  const found = publications.map(({ id }) => history.find(id));
  await history.close();
  return { epoch, floor, last, count, publications, found };
}

/** A history with this number of events, of all kinds. */
async function make(path: string, count: number): Promise<void> {
  const history = await openIn(path);
  const now = systemClock.now();
  for (let offset = 1; offset <= count; offset++) {
    const own = offset % 3 === 0 ? { id: `urn:${offset}`, type: "update", retry: offset } : {};
    const draft = { topics: [`t${offset % 5}`, "all"] as const, data: `line\n${offset}`, private: offset % 2 === 0 };
    void history.append(positionDraft({ ...draft, topics: [...draft.topics], ...own }, history.epoch, offset, now));
  }
  await history.close();
}

const history = (path: string, words: readonly string[], stdin = "") =>
  runCommand(addHistory, ["history", ...words, "--history-path", "data"], {
    cwd: path,
    stdin: Readable.from([Buffer.from(stdin)]),
  });

async function exported(path: string): Promise<string> {
  const { code, stdout, stderr } = await history(path, ["export"]);
  assert.equal(code, 0, stderr);
  return stdout;
}

describe("History archive", () => {
  test("kept events are exported and imported, with their ids", async (t) => {
    const [from, to] = [folder(t), folder(t)];
    const opened = await openLmdbHistory({ ...BOUNDS, maxEvents: 5, path: join(from, "data") }, systemClock);
    const newest = new Map<string, number>();
    const isKept = ([topic = ""]: readonly string[], offset: number) =>
      topic !== "other" && newest.get(topic) === offset;
    opened.keep({ isNeeded: true, isReady: true, isKept, dropped() {} });
    for (let offset = 1; offset <= 1200; offset++) {
      const topic = offset <= 50 ? `kept/${offset % 40}` : "other";
      newest.set(topic, offset);
      const more = offset % 2 === 0 ? { id: `urn:${offset}`, ttlMs: 1e9 } : {};
      const draft = { topics: [topic] as [string], data: `${offset}`, private: offset % 3 === 0, ...more };
      void opened.append(positionDraft(draft, opened.epoch, offset, systemClock.now()));
      if (offset % 10 === 0) opened.commit();
    }
    await opened.close();

    const { floor } = await readAll(from);
    assert.ok(floor >= 50, "all of them were trimmed");
    const text = await exported(from);
    const { code, stdout } = await history(to, ["import"], text);
    const count = text.trim().split("\n").length - 2;
    assert.deepEqual([code, stdout], [0, `${count} events imported\n`]);
    assert.equal(await exported(to), text.replace(/"last":\d+/, (await exported(to)).match(/"last":\d+/)?.[0] ?? ""));

    const again = await openIn(to);
    t.after(() => again.close());
    const page = again.read(0, { ...ALL, through: again.floor, kept: true });
    for (const topic of Array.from({ length: 40 }, (_, at) => `kept/${at}`)) {
      const found = page.publications.findLast(({ topics }) => topics[0] === topic);
      assert.equal(found?.offset, newest.get(topic), topic);
      // The id of the others is their position, which needs no index.
      if (found?.id.startsWith("urn:")) assert.equal(again.find(found.id), found.offset);
    }
  });

  test("an import restores epoch, offsets, ids and events of the export, and assigns new offsets far above them", async (t) => {
    const [from, to] = [folder(t), folder(t)];
    await make(from, 3000);
    const text = await exported(from);
    assert.equal(text.trim().split("\n").length, 3002);
    const { code, stdout } = await history(to, ["import"], text);
    assert.deepEqual([code, stdout], [0, "3000 events imported\n"]);
    const [before, after] = [await readAll(from), await readAll(to)];
    assert.deepEqual(after.publications, before.publications);
    assert.deepEqual(
      after.found,
      before.publications.map(({ offset }) => offset),
    );
    assert.deepEqual([after.epoch, after.floor, after.count], [before.epoch, 0, 3000]);
    assert.ok(after.last > before.last + 1_000_000);
  });

  test("an import keeps the floor of the export, so that clients learn of trimmed events", async (t) => {
    const [from, to] = [folder(t), folder(t)];
    await make(from, 2);
    const trimmed = (await exported(from)).replace('"floor":0', '"floor":1').replace(/^\{"offset":1,.*\n/m, "");
    await history(to, ["import"], trimmed);
    const { floor, publications } = await readAll(to);
    assert.deepEqual([floor, publications.map(({ offset }) => offset)], [1, [2]]);
  });

  test("an export leaves out damaged blocks, fails and names the damage", async (t) => {
    const path = folder(t);
    await make(path, 300);
    const { after, through } = await damageBlock(join(path, "data"));
    const { code, stdout, stderr } = await history(path, ["export"]);
    const offsets = [...stdout.matchAll(/^\{"offset":(\d+)/gm)].map(([, offset]) => Number(offset));
    assert.deepEqual(
      offsets,
      Array.from({ length: 300 }, (_, index) => index + 1).filter((offset) => offset <= after || offset > through),
    );
    assert.match(stdout, /\{"end":true\}\n$/);
    assert.equal(code, 1);
    assert.match(
      stderr,
      /^\d+ events exported\nm2push: 1 block of the history, .* is damaged: .*; all other events were exported\n$/,
    );
  });

  test("export writes and import reads files, which only their owner may read", async (t) => {
    const path = folder(t);
    await make(path, 5);
    const { code, stdout, stderr } = await history(path, ["export", "--output", "all.ndjson"]);
    assert.deepEqual([code, stdout, stderr], [0, "", "5 events exported\n"]);
    const to = folder(t);
    writeFileSync(join(to, "all.ndjson"), readFileSync(join(path, "all.ndjson")));
    assert.equal((await history(to, ["import", "all.ndjson"])).stdout, "5 events imported\n");
    assert.match((await history(to, ["import", "none.ndjson"])).stderr, /^m2push: .*none\.ndjson/);
  });

  test("a failed import leaves no data, and the next import starts from the beginning", async (t) => {
    const [from, to] = [folder(t), folder(t)];
    await make(from, 2500);
    const text = await exported(from);
    const lines = text.split("\n");
    const broken = await history(to, ["import"], [...lines.slice(0, 2000), "{", ...lines.slice(2000)].join("\n"));
    assert.deepEqual([broken.code, broken.stderr], [1, "m2push: line 2001: broken JSON\n"]);
    assert.ok(!existsSync(join(to, "data/history.mdb")) && !existsSync(join(to, "data/import")));
    assert.equal((await history(to, ["import"], lines.slice(0, 2000).join("\n"))).code, 1);
    assert.equal((await history(to, ["import"], text)).stdout, "2500 events imported\n");
  });

  test("import refuses a folder with events, and replaces a history without events", async (t) => {
    const [from, to] = [folder(t), folder(t)];
    await make(from, 10);
    const text = await exported(from);
    await make(to, 0);
    assert.equal((await history(to, ["import"], text)).code, 0);
    const { code, stderr } = await history(to, ["import"], text);
    assert.equal(code, 1);
    assert.match(stderr, /is not empty, it holds 10 events: move history\.mdb away first$/m);
  });

  test("while a daemon has the folder, both say what to do, and that is not what a daemon could", async (t) => {
    const path = folder(t);
    const running = await openIn(path);
    t.after(() => running.close());
    for (const action of ["export", "import"]) {
      const { code, stderr } = await history(
        path,
        [action],
        '{"format":"m2push history","version":1,"epoch":"a","floor":0,"last":0}\n',
      );
      assert.equal(code, 1);
      assert.match(
        stderr,
        /^m2push: .*data is in use by the m2push with pid \d+: stop that first \(its streams stay open\)/,
      );
    }
  });

  test("purge removes events of a stopped daemon: those of a topic, with an id, or from before a time", async (t) => {
    const path = folder(t);
    await make(path, 30);
    assert.equal((await history(path, ["purge", "--topic", "t1"])).stdout, "6 events removed\n");
    assert.equal((await history(path, ["purge", "--id", "urn:3"])).stdout, "1 event removed\n");
    assert.equal((await history(path, ["purge", "--id", "urn:3"])).stdout, "0 events removed\n");
    const left = (await exported(path)).trim().split("\n").slice(1, -1);
    assert.deepEqual(
      left.map((line) => JSON.parse(line).offset),
      Array.from({ length: 30 }, (_, at) => at + 1).filter((offset) => offset % 5 !== 1 && offset !== 3),
    );
    assert.equal((await history(path, ["purge", "--before", "1h"])).stdout, "0 events removed\n");
    assert.equal((await history(path, ["purge", "--before", "2999-01-01T00:00:00Z"])).stdout, "23 events removed\n");
  });

  for (const words of [
    ["purge"],
    ["purge", "--topic", "a", "--id", "b"],
    ["purge", "--before", "yesterday"],
    ["purge", "--topic", "a", "--token", "x"],
    ["purge", "file", "--topic", "a"],
    ["export", "--topic", "a"],
  ]) {
    test(`wrong usage has exit code 2: history ${words.join(" ")}`, async (t) => {
      const { code, stderr } = await history(folder(t), words);
      assert.equal(code, 2, stderr);
    });
  }

  test("rejects a missing history, a store in memory, and options of another action", async (t) => {
    const path = folder(t);
    assert.match(
      (await history(path, ["export"])).stderr,
      /there is no history in .*data: is \[history\] path right\?/,
    );
    assert.match((await history(path, ["export", "--history-store", "memory"])).stderr, /no events are stored/);
    assert.equal((await history(path, ["export", "file"])).code, 2);
    assert.equal((await history(path, ["import", "--output", "file"])).code, 2);
    assert.equal((await history(path, ["drop"])).code, 2);
    assert.ok(!existsSync(join(path, "data")));
  });
});
