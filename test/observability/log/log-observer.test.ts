/** The lines of the log: people and programs look for their names, so names and members are fixed here. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import type { Client } from "../../../src/delivery/client.js";
import { DISCONNECT_REASONS } from "../../../src/delivery/reasons.js";
import { Registry } from "../../../src/delivery/registry.js";
import { ProtocolError } from "../../../src/errors.js";
import type { DaemonEvent } from "../../../src/hub/events.js";
import type { Interest } from "../../../src/matching/interest.js";
import { LogObserver } from "../../../src/observability/log/log-observer.js";
import { parseRequest, RequestError } from "../../../src/protocol/request.js";
import { damaged } from "../../support/arbitraries.js";
import { FakeClock } from "../../support/clock.js";
import { type Line, recordedLog } from "../../support/log.js";
import { requestMessage } from "../../support/mongrel2-messages.js";
import { RecordingOutlet } from "../../support/outlet.js";

const INTEREST: Interest = {
  selectors: [{ kind: "exact", value: "news" }, { kind: "template", value: "/books/{id}" }, { kind: "any" }],
  grants: [{ kind: "exact", value: "the-grants-are-nobody's-business" }],
};

function setUp(level?: string) {
  const clock = new FakeClock();
  const recorded = recordedLog(level);
  const registry = new Registry(new RecordingOutlet(clock), "http://hub.example/");
  const newcomer = { id: 17, remote: "203.0.113.9", interest: INTEREST, since: 0 };
  const subscriber = { id: "urn:uuid:1", subject: "somebody", subscriptions: [] };
  const client: Client = registry.add({ ...newcomer, expiresAt: 5e12, subscriber });
  return { clock, ...recorded, client, observe: new LogObserver(recorded.log, clock).observe };
}

/** The only line, without its time, which must be one. */
function only(lines: readonly Line[]): Line {
  assert.equal(lines.length, 1);
  const { time, ...rest } = lines[0] ?? {};
  assert.match(String(time), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
  return rest;
}

const WHO = { server: "main", client: 17, remote: "203.0.113.9", topics: ["news", "/books/{id}", "*"] };

describe("LogObserver", () => {
  test("a client that connects", () => {
    const { observe, client, lines } = setUp();
    observe({ type: "clientConnected", server: "main", client, clients: 3 });
    assert.deepEqual(only(lines), { level: "info", event: "connect", ...WHO, clients: 3, msg: "client connected" });
  });

  for (const reason of DISCONNECT_REASONS) {
    test(`a client that disconnects: ${reason}`, () => {
      const { observe, client, clock, lines } = setUp();
      clock.advance(61_234.4);
      observe({ type: "clientDisconnected", server: "main", client, reason, clients: 2 });
      assert.deepEqual(only(lines), {
        level: "info",
        event: "disconnect",
        ...WHO,
        clients: 2,
        reason,
        seconds: 61.234,
        msg: "client disconnected",
      });
    });
  }

  test("a client that is served on", () => {
    const { observe, client, lines } = setUp();
    observe({ type: "clientAdopted", server: "main", client, clients: 1 });
    assert.deepEqual(only(lines), { level: "info", event: "adopt", ...WHO, clients: 1, msg: "client adopted" });
  });

  /** What is told, the level, and the members beside server and msg. */
  const TOLD: readonly (readonly [what: string, event: DaemonEvent, level: string, rest: Line])[] = [
    [
      "a publication, without its content",
      {
        type: "published",
        publication: {
          offset: 1,
          id: "e.1",
          topics: ["t"],
          private: true,
          time: 0,
          bytes: Buffer.from("data: secret\n\n"),
        },
      },
      "trace",
      { event: "publish", id: "e.1", topics: ["t"], bytes: 14, server: undefined },
    ],
    [
      "a flush",
      { type: "flushed", server: "main", flush: { bodies: 1, frames: 2, bytes: 3, deliveries: 4, oldest: 5 } },
      "trace",
      { event: "flush", bodies: 1, frames: 2, bytes: 3, deliveries: 4, oldest: 5 },
    ],
    [
      "an id that was used again",
      { type: "idRepeated", topic: "news" },
      "warn",
      {
        event: "repeated id",
        topic: "news",
        fix: "leave the ids to the hub, or have the publisher go on counting where it stopped",
        server: undefined,
      },
    ],
    [
      "a gap",
      { type: "gapReported", server: "main", reason: "expired" },
      "info",
      { event: "gap", reason: "expired", suppressed: 0 },
    ],
    [
      "a server that answers",
      { type: "linkLive", server: "main", milliseconds: 12.6 },
      "info",
      { event: "live", milliseconds: 13 },
    ],
    ["a server that is lost", { type: "linkLost", server: "main", reason: "x" }, "warn", { event: "lost", why: "x" }],
    [
      "a recovery",
      { type: "adoptionCompleted", server: "main", adopted: 1, cancelled: 2, gone: 3, proven: true },
      "info",
      { event: "recovered", adopted: 1, cancelled: 2, gone: 3, proven: true },
    ],
    [
      "a control port that fails",
      { type: "controlPortFailed", server: "main", error: new Error("no answer") },
      "debug",
      { event: "control", why: "no answer" },
    ],
    [
      "a wrong ident",
      { type: "identMismatch", server: "main", configured: "a", received: "b" },
      "error",
      { event: "ident", configured: "a", seen: "b" },
    ],
    [
      "a bad message",
      { type: "malformedMessage", server: "main", error: new ProtocolError("invalid", "not a request") },
      "warn",
      { event: "malformed", code: "invalid", why: "not a request", suppressed: 0 },
    ],
    [
      "a stale message",
      { type: "staleMessagesDropped", server: "main", messages: 1 },
      "info",
      { event: "stale", messages: 1, suppressed: 0 },
    ],
    [
      "an answer",
      { type: "requestCompleted", server: "main", route: "other", status: 404, reason: undefined },
      "debug",
      { event: "answer", route: "other", status: 404 },
    ],
    [
      "a refusal with its reason",
      { type: "requestCompleted", server: "main", route: "/hub", status: 401, reason: "the token has expired" },
      "info",
      { event: "refuse", route: "/hub", status: 401, why: "the token has expired", suppressed: 0 },
    ],
  ];

  for (const [what, event, level, rest] of TOLD) {
    test(`${what} is told with all its members`, () => {
      const { observe, lines } = setUp();
      observe(event);
      const { msg, ...line } = only(lines);
      assert.deepEqual(line, JSON.parse(JSON.stringify({ level, server: "main", ...rest })));
      assert.ok(String(msg).length > 3);
    });
  }

  test("a recovery that found nobody is not told", () => {
    const { observe, lines } = setUp();
    observe({ type: "adoptionCompleted", server: "main", adopted: 0, cancelled: 0, gone: 0, proven: false });
    assert.deepEqual(lines, []);
  });

  test("ids that are used again are told once a topic, and not of topics without end", () => {
    const { observe, lines } = setUp();
    for (let n = 0; n < 5000; n++) for (const topic of ["news", `topic ${n}`]) observe({ type: "idRepeated", topic });
    assert.equal(lines.length, 1000);
    assert.deepEqual([lines[0]?.topic, lines[1]?.topic], ["news", "topic 0"]);
  });

  const STORMS: readonly (readonly [what: string, event: DaemonEvent])[] = [
    ["gaps", { type: "gapReported", server: "main", reason: "unknown" }],
    ["bad messages", { type: "malformedMessage", server: "main", error: new ProtocolError("invalid", "x") }],
    ["bad publications", { type: "publicationRejected", source: "zmq", error: new ProtocolError("invalid", "x") }],
    ["stale messages", { type: "staleMessagesDropped", server: "main", messages: 1 }],
    ["refusals", { type: "requestCompleted", server: "main", route: "/hub", status: 401, reason: "no token" }],
  ];

  for (const [what, event] of STORMS) {
    test(`${what} without end are one line a second, with the number of those left out`, () => {
      const { observe, clock, lines } = setUp();
      for (let count = 0; count < 500; count++) {
        observe(event);
        clock.advance(10);
      }
      assert.deepEqual(
        lines.map(({ suppressed }) => suppressed),
        [0, 99, 99, 99, 99],
      );
    });
  }

  test("at level info neither answers, publications nor flushes are told; at silent nothing is", () => {
    for (const [level, expected] of [
      ["info", TOLD.filter(([, , level]) => level !== "trace" && level !== "debug").length],
      ["error", 1],
      ["silent", 0],
    ] as const) {
      const { observe, lines } = setUp(level);
      for (const [, event] of TOLD) observe(event);
      assert.equal(lines.length, expected, level);
    }
  });

  test("text of strangers cannot break a line or write to a terminal, whatever it holds", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (text) => {
        const { observe, texts, lines } = setUp();
        observe({ type: "malformedMessage", server: "main", error: new ProtocolError("invalid", text) });
        assert.equal(lines[0]?.why, text);
        assert.match(texts[0] ?? "", /^[^\0-\x1f]+\n$/);
      }),
    );
  });

  test("a request that is told as malformed is not quoted: its token stays out of the log", () => {
    const secret = "c2VjcmV0LXRva2Vu";
    const headers = { authorization: `Bearer ${secret}`, cookie: `mercureAuthorization=${secret}` };
    const whole = requestMessage("json", "ident", 7, { headers, query: `authorization=${secret}` });
    const { observe, clock, texts } = setUp();
    let told = 0;
    fc.assert(
      fc.property(damaged(whole), (message) => {
        try {
          parseRequest(message);
        } catch (error) {
          assert.ok(error instanceof RequestError);
          observe({ type: "malformedMessage", server: "main", error });
          told++;
        }
        clock.advance(1000);
        assert.doesNotMatch(texts.at(-1) ?? "", new RegExp(secret.slice(0, 8)));
      }),
      { numRuns: 1000 },
    );
    assert.ok(told > 100);
  });

  describe("Lines that strangers can make long", () => {
    const LONG = "x".repeat(60_000);
    const words = Array.from({ length: 100 }, (_, at) => `${at}"${LONG.slice(0, 300)}`);
    const interest: Interest = { selectors: words.map((value) => ({ kind: "exact", value })), grants: [] };

    function stranger() {
      const { clock, log, lines } = { clock: new FakeClock(), ...recordedLog("trace") };
      const registry = new Registry(new RecordingOutlet(clock), "http://hub.example/");
      const client = registry.add({ id: 1, remote: LONG, interest, since: 0 });
      return { lines, client, observe: new LogObserver(log, clock).observe, log };
    }

    const error = new ProtocolError("invalid", LONG);
    const publication = { offset: 1, id: LONG, topics: words, private: false, time: 0, bytes: Buffer.alloc(1) };
    type Recorded = ReturnType<typeof stranger>;
    const told: readonly (readonly [what: string, tell: (it: Recorded) => void])[] = [
      ["connect", ({ observe, client }) => observe({ type: "clientConnected", server: "main", client, clients: 1 })],
      [
        "disconnect",
        ({ observe, client }) =>
          observe({ type: "clientDisconnected", server: "main", client, reason: "left", clients: 0 }),
      ],
      ["adopt", ({ observe, client }) => observe({ type: "clientAdopted", server: "main", client, clients: 1 })],
      ["publish", ({ observe }) => observe({ type: "published", publication })],
      ["control", ({ observe }) => observe({ type: "controlPortFailed", server: "main", error: new Error(LONG) })],
      [
        "ident",
        ({ observe }) => observe({ type: "identMismatch", server: "main", configured: "ours", received: LONG }),
      ],
      ["malformed", ({ observe }) => observe({ type: "malformedMessage", server: "main", error })],
      ["rejected", ({ observe }) => observe({ type: "publicationRejected", source: "zmq", error })],
      [
        "refuse",
        ({ observe }) =>
          observe({ type: "requestCompleted", server: "main", route: "/hub", status: 400, reason: LONG }),
      ],
      ["whatever forgets to", ({ log }) => log.warn({ event: "x", why: LONG, deep: { list: words } }, LONG)],
      ["an error", ({ log }) => log.error({ event: "x", err: new Error(LONG) }, "failed")],
    ];

    for (const [what, tell] of told) {
      test(`${what}: a line is bounded`, () => {
        const recorded = stranger();
        tell(recorded);
        const characters = JSON.stringify(recorded.lines).length;
        assert.ok(recorded.lines.length === 1 && characters < 30_000, `${characters} characters`);
        if (!what.includes(" ")) assert.ok(characters < 1200, `${characters} characters`);
      });
    }

    test("topics say how many are left out", () => {
      const { observe, client, lines } = stranger();
      observe({ type: "clientConnected", server: "main", client, clients: 1 });
      assert.equal(([] as unknown[]).concat(lines[0]?.topics).at(-1), "and 98 more");
    });
  });
});
