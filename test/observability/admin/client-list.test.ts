/** What an operator sees of the clients, and how some are ended. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { openStream } from "../../support/hub.js";
import { RecordingOutlet } from "../../support/outlet.js";
import { interest, operated, subscriber } from "./harness.js";

const turn = () => new Promise((resolve) => setImmediate(resolve));

describe("Client list", () => {
  test("lists a client with its selectors, grants and position", async () => {
    const { clients, connect, publish, outlet, clock, history } = await operated();
    connect(1, {
      interest: interest(["news", "https://example.com/{id}"], ["private"]),
      subscriber: subscriber("1", "kim"),
      creditLimit: 100_000,
      expiresAt: clock.now() + 60_000,
    });
    publish("x", "news");
    outlet.acknowledgeAll();
    clock.advance(2500);
    const one = clients.find("main", 1);
    assert.deepEqual(one?.selectors, [
      { kind: "exact", value: "news" },
      { kind: "template", value: "https://example.com/{id}" },
    ]);
    assert.deepEqual(one?.grants, [{ kind: "exact", value: "private" }]);
    assert.deepEqual([one?.state, one?.cursor], ["live", `#${history.epoch}.1`]);
    assert.deepEqual([one?.subscriber, one?.subject], ["urn:uuid:1", "kim"]);
    assert.equal(one?.credit?.limitBytes, 100_000);
    assert.ok((one?.credit?.availableBytes ?? 0) < 100_000);
    assert.equal(Date.parse(one?.expiresAt ?? "") - Date.parse(one?.connectedAt ?? ""), 60_000);
    assert.equal(one?.connectedSeconds, (clock.now() - Date.parse(one?.connectedAt ?? "")) / 1000);
  });

  test("lists null for a client without credit limit, expiry and subscriber", async () => {
    const { clients, connect } = await operated();
    connect(1);
    const { credit: credits, expiresAt: expires, subscriber: who, subject } = clients.find("main", 1) ?? {};
    assert.deepEqual([credits, expires, who, subject], [null, null, null, null]);
  });

  test("a client that is fed from history is behind, at what it was sent last", async () => {
    const { clients, connect, publish, history, outlet } = await operated();
    connect(9);
    // Nothing is taken yet, so nothing more is sent.
    for (let event = 0; event < 5; event++) publish("x");
    connect(1, { lastEventId: `#${history.epoch}.2` });
    assert.deepEqual(
      [clients.find("main", 1)?.state, clients.find("main", 1)?.cursor],
      ["catching up", `#${history.epoch}.2`],
    );
    outlet.acknowledgeAll();
    assert.deepEqual(
      [clients.find("main", 1)?.state, clients.find("main", 1)?.cursor],
      ["live", `#${history.epoch}.5`],
    );
  });

  test("lists no client that is not connected", async () => {
    const { clients, connect } = await operated();
    connect(1);
    for (const [server, id] of [
      ["main", 2],
      ["other", 1],
      ["main", Number.NaN],
    ] as const) {
      assert.equal(clients.find(server, id), undefined);
      assert.equal(clients.disconnect(server, id), false);
    }
  });

  test("lists every client on one page, the newest first, server by server", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.uniqueArray(fc.integer({ min: 1, max: 1e6 }), { maxLength: 60 }),
        fc.integer({ min: 1, max: 25 }),
        async (ids, limit) => {
          const { clients, connect, hub, clock } = await operated();
          const second = hub.serveMongrel2("second", new RecordingOutlet(clock), { keepalive: 1e6, heartbeat: 0 });
          second.start();
          for (const id of ids) connect(id);
          for (const id of ids.slice(0, 7)) openStream(hub, second, { id, remote: "::1", interest: interest(["*"]) });
          const seen: string[] = [];
          let after: { server: string; id: number } | undefined;
          do {
            const page = await clients.page({ limit, ...(after && { after }) });
            assert.ok(page && page.clients.length <= limit);
            assert.equal(page.total, ids.length + Math.min(7, ids.length));
            seen.push(...page.clients.map(({ server, id }) => `${server}/${id}`));
            const [server, id] = page.next?.split("/") ?? [];
            after = server === undefined ? undefined : { server, id: Number(id) };
          } while (after);
          const falling = (some: readonly number[]) => [...some].sort((a, b) => b - a);
          const expected = [
            ...falling(ids).map((id) => `main/${id}`),
            ...falling(ids.slice(0, 7)).map((id) => `second/${id}`),
          ];
          assert.deepEqual(seen, expected);
        },
      ),
      { numRuns: 50 },
    );
  });

  test("a client that connects or leaves between two pages moves no other client to another page", async () => {
    const { clients, connect } = await operated();
    for (let id = 1; id <= 10; id++) connect(id);
    const ids = async (after?: number) => {
      const page = await clients.page({
        limit: 4,
        ...(after !== undefined && { after: { server: "main", id: after } }),
      });
      return page?.clients.map(({ id }) => id);
    };
    assert.deepEqual(await ids(), [10, 9, 8, 7]);
    connect(11);
    clients.disconnect("main", 7);
    clients.disconnect("main", 5);
    assert.deepEqual(await ids(7), [6, 4, 3, 2]);
  });

  test("lists the clients of one server, and none of an unknown one", async () => {
    const { clients, connect, hub, clock } = await operated();
    hub.serveMongrel2("second", new RecordingOutlet(clock), { keepalive: 1e6, heartbeat: 0 });
    connect(1);
    assert.deepEqual(await clients.page({ server: "second", limit: 5 }), { total: 0, clients: [], next: null });
    assert.equal((await clients.page({ server: "main", limit: 5 }))?.total, 1);
    assert.equal(await clients.page({ server: "third", limit: 5 }), undefined);
    assert.equal(await clients.page({ server: "main", after: { server: "second", id: 9 }, limit: 5 }), undefined);
  });

  test("an ended client is closed, and forgotten", async () => {
    const { clients, connect, outlet, store, hub } = await operated();
    connect(1);
    connect(2);
    assert.equal(clients.disconnect("main", 1), true);
    assert.deepEqual([outlet.closed, hub.clients, [...store.clients.keys()]], [[1], 1, [2]]);
  });

  test("disconnects by topic the clients that follow it by name or pattern, and those that follow everything only by '*'", async () => {
    const kinds = {
      1: ["*"],
      2: ["books/1"],
      3: ["books/{id}"],
      4: ["news", "books/1"],
      5: ["news"],
      6: ["books/{+id}/x"],
    };
    const endedBy = async (topic: string) => {
      const { clients, connect, outlet } = await operated();
      for (const [id, topics] of Object.entries(kinds)) connect(Number(id), { interest: interest(topics) });
      assert.equal(await clients.disconnectTopic(topic), outlet.closed.length);
      return [...outlet.closed].sort();
    };
    assert.deepEqual(await endedBy("books/1"), [2, 3, 4]);
    assert.deepEqual(await endedBy("books/2"), [3]);
    assert.deepEqual(await endedBy("books/{id}"), [3]);
    assert.deepEqual(await endedBy("*"), [1]);
    assert.deepEqual(await endedBy("weather"), []);
  });

  test("a subject ends those whose token names it", async () => {
    const { clients, connect, outlet } = await operated();
    connect(1, { subscriber: subscriber("a", "kim") });
    connect(2, { subscriber: subscriber("b", "lee") });
    connect(3, { subscriber: subscriber("c") });
    connect(4, { subscriber: subscriber("d", "kim") });
    connect(5);
    assert.equal(await clients.disconnectSubject("kim"), 2);
    assert.deepEqual(outlet.closed, [1, 4]);
  });

  test("disconnects many clients in slices, spares a new client with the id of an old one, and does not count those that left", async () => {
    const { clients, connect, outlet, hub, server } = await operated();
    for (let id = 1; id <= 1000; id++) connect(id);
    const ending = clients.disconnectTopic("*");
    await turn();
    const first = outlet.closed.length;
    assert.ok(first > 0 && first < 1000, `${first} at once`);
    hub.leave(server, 999, "left");
    hub.leave(server, 1000, "left");
    connect(1000);
    assert.equal(await ending, 998);
    assert.deepEqual([hub.clients, server.clients.has(1000)], [1, true]);
  });

  test("ends a large page early, with a cursor", async () => {
    const { clients, connect } = await operated();
    const long = (id: number) => Array.from({ length: 10 }, (_, at) => `${id}/${at}/${"x".repeat(3000)}`);
    for (let id = 1; id <= 200; id++) connect(id, { interest: interest(long(id)) });
    const first = await clients.page({ limit: 1000 });
    assert.ok(first && JSON.stringify(first).length < 2_000_000);
    const [server = "", id] = first.next?.split("/") ?? [];
    const { clients: rest = [], next } = (await clients.page({ limit: 1000, after: { server, id: Number(id) } })) ?? {};
    assert.equal(first.clients.at(-1)?.id, Number(id));
    assert.deepEqual([rest[0]?.id, next !== null], [Number(id) - 1, true]);
  });

  test("rejects requests above its queue limit, and answers the others in order", async () => {
    const { clients, connect } = await operated();
    connect(1);
    const asked = await Promise.allSettled(Array.from({ length: 30 }, () => clients.page({ limit: 1 })));
    assert.equal(asked.filter(({ status }) => status === "fulfilled").length, 16);
    assert.equal((await clients.page({ limit: 1 }))?.total, 1);
  });
});
