/** The lines of the log: programs filter by their event and fields, which are public names. */
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
import { conditionEnded, FIXES, MESSAGES } from "../../../src/observability/log/messages.js";
import { parseRequest, RequestError } from "../../../src/protocol/request.js";
import { anyCharacter, damaged } from "../../support/arbitraries.js";
import { FakeClock } from "../../support/clock.js";
import { type Line, recordedLog } from "../../support/log.js";
import { requestMessage } from "../../support/mongrel2-messages.js";
import { RecordingOutlet } from "../../support/outlet.js";
import { publication } from "../metrics/harness.js";

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
    assert.deepEqual(only(lines), {
      level: "info",
      event: "connect",
      ...WHO,
      clients: 3,
      msg: MESSAGES.clientConnected,
    });
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
        msg: MESSAGES.clientDisconnected,
      });
    });
  }

  test("a client that is adopted", () => {
    const { observe, client, lines } = setUp();
    observe({ type: "clientAdopted", server: "main", client, clients: 1 });
    assert.deepEqual(only(lines), {
      level: "info",
      event: "adopt",
      ...WHO,
      clients: 1,
      msg: MESSAGES.clientAdopted,
    });
  });

  test("a client whose topics change", () => {
    const { observe, client, lines } = setUp();
    observe({ type: "topicsChanged", server: "main", client });
    const { remote: _, ...who } = WHO;
    assert.deepEqual(only(lines), { level: "debug", event: "topics_changed", ...who, msg: MESSAGES.topicsChanged });
  });

  const server = "main";
  const invalid = new ProtocolError("invalid", "not a request");
  const overloaded = { code: "overloaded", subject: "main", message: "too many", fix: "wait", since: 0 } as const;

  /** Events, the level and text of their line, and its fields. */
  const LINES: readonly (readonly [event: DaemonEvent, level: string, message: string, fields: Line])[] = [
    [
      { type: "published", publication: publication(1, "data: secret\n\n") },
      "trace",
      MESSAGES.published,
      { event: "published", id: "e.1", topics: ["t"], bytes: 14 },
    ],
    [
      { type: "flushed", server, flush: { bodies: 1, frames: 2, bytes: 3, deliveries: 4, oldest: 5 } },
      "trace",
      MESSAGES.flushed,
      { event: "flushed", server, bodies: 1, frames: 2, bytes: 3, deliveries: 4, oldest: 5 },
    ],
    [
      { type: "idRepeated", topic: "news" },
      "warn",
      MESSAGES.idRepeated,
      { event: "id_repeated", topic: "news", fix: FIXES.idRepeated },
    ],
    [
      { type: "gapReported", server, reason: "expired", clients: [] },
      "info",
      MESSAGES.gapReported,
      { event: "gap_reported", server, reason: "expired", suppressed: 0 },
    ],
    [
      { type: "linkLive", server, milliseconds: 12.6 },
      "info",
      MESSAGES.linkLive,
      { event: "link_live", server, milliseconds: 13 },
    ],
    [
      { type: "linkLost", server, reason: "no answer" },
      "warn",
      MESSAGES.linkLost,
      { event: "link_lost", server, reason: "no answer" },
    ],
    [
      { type: "adoptionCompleted", server, adopted: 1, cancelled: 2, gone: 3, proven: true },
      "info",
      MESSAGES.adoptionCompleted,
      { event: "adoption_completed", server, adopted: 1, cancelled: 2, gone: 3, proven: true },
    ],
    [
      { type: "orphansClosed", server, connections: 3, rule: "exclusive" },
      "info",
      MESSAGES.orphansClosed,
      { event: "orphans_closed", server, connections: 3, rule: "exclusive" },
    ],
    [
      { type: "controlPortFailed", server, error: new Error("no answer") },
      "debug",
      MESSAGES.controlPortFailed,
      { event: "control_port_failed", server, reason: "no answer" },
    ],
    [
      { type: "identMismatch", server, configured: "a", received: "b" },
      "error",
      MESSAGES.identMismatch,
      { event: "ident_mismatch", server, configured: "a", received: "b", fix: FIXES.identMismatch },
    ],
    [
      { type: "malformedMessage", server, error: invalid },
      "warn",
      MESSAGES.malformedMessage,
      { event: "malformed_message", server, code: "invalid", reason: "not a request", suppressed: 0 },
    ],
    [
      { type: "staleMessagesDropped", server, messages: 1 },
      "info",
      MESSAGES.staleMessagesDropped,
      { event: "stale_messages_dropped", server, messages: 1, suppressed: 0 },
    ],
    [
      { type: "publicationRejected", source: "zmq", error: invalid },
      "warn",
      MESSAGES.publicationRejected,
      { event: "publication_rejected", source: "zmq", code: "invalid", reason: "not a request", suppressed: 0 },
    ],
    [
      { type: "peerRejected", address: "tcp://127.0.0.1:9997", error: invalid, peer: "127.0.0.1:50000" },
      "warn",
      MESSAGES.peerRejected,
      {
        event: "peer_rejected",
        address: "tcp://127.0.0.1:9997",
        peer: "127.0.0.1:50000",
        code: "invalid",
        reason: "not a request",
        suppressed: 0,
      },
    ],
    [
      { type: "zmqConnectionLost", error: invalid },
      "info",
      MESSAGES.zmqConnectionLost,
      { event: "zmq_connection_lost", reason: "not a request", suppressed: 0 },
    ],
    [
      { type: "requestCompleted", server, route: "other", status: 404, reason: undefined },
      "debug",
      MESSAGES.requestCompleted,
      { event: "request_completed", server, route: "other", status: 404 },
    ],
    [
      { type: "requestCompleted", server, route: "/hub", status: 401, reason: "the token has expired" },
      "info",
      MESSAGES.requestRefused,
      { event: "request_refused", server, route: "/hub", status: 401, reason: "the token has expired", suppressed: 0 },
    ],
    [
      { type: "conditionBegan", condition: { ...overloaded, details: { connections: 3 } } },
      "warn",
      "too many",
      { event: "condition_began", code: "overloaded", subject: "main", connections: 3, fix: "wait" },
    ],
    [
      { type: "conditionEnded", condition: overloaded, milliseconds: 1500 },
      "info",
      conditionEnded("too many"),
      { event: "condition_ended", code: "overloaded", subject: "main", seconds: 1.5 },
    ],
  ];

  for (const [event, level, msg, fields] of LINES) {
    test(`a line for ${event.type} has its level, text and fields: ${fields.event}`, () => {
      const { observe, lines } = setUp();
      observe(event);
      assert.deepEqual(only(lines), { level, msg, ...fields });
    });
  }

  test("a publication over HTTP that is rejected has the line of its request only", () => {
    const { observe, lines } = setUp();
    observe({ type: "publicationRejected", source: "http", error: invalid });
    assert.deepEqual(lines, []);
  });

  test("an adoption without clients has no line", () => {
    const { observe, lines } = setUp();
    observe({ type: "adoptionCompleted", server: "main", adopted: 0, cancelled: 0, gone: 0, proven: false });
    assert.deepEqual(lines, []);
  });

  test("repeated ids have one line a topic, for at most 1000 topics", () => {
    const { observe, lines } = setUp();
    for (let n = 0; n < 5000; n++) for (const topic of ["news", `topic ${n}`]) observe({ type: "idRepeated", topic });
    assert.equal(lines.length, 1000);
    assert.deepEqual([lines[0]?.topic, lines[1]?.topic], ["news", "topic 0"]);
  });

  const STORMS: readonly (readonly [what: string, event: DaemonEvent])[] = [
    ["gaps", { type: "gapReported", server: "main", reason: "unknown", clients: [] }],
    ["bad messages", { type: "malformedMessage", server: "main", error: new ProtocolError("invalid", "x") }],
    ["bad publications", { type: "publicationRejected", source: "zmq", error: new ProtocolError("invalid", "x") }],
    ["stale messages", { type: "staleMessagesDropped", server: "main", messages: 1 }],
    ["refusals", { type: "requestCompleted", server: "main", route: "/hub", status: 401, reason: "no token" }],
  ];

  for (const [what, event] of STORMS) {
    test(`${what} have at most one line a second, with the number of lines left out`, () => {
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

  test("each level has the lines of that level and above", () => {
    for (const [level, expected] of [
      ["info", LINES.filter(([, level]) => level !== "trace" && level !== "debug").length],
      ["error", 1],
      ["silent", 0],
    ] as const) {
      const { observe, lines } = setUp(level);
      for (const [event] of LINES) observe(event);
      assert.equal(lines.length, expected, level);
    }
  });

  test("no text breaks a line or has a character that a terminal obeys", () => {
    fc.assert(
      fc.property(fc.string({ unit: anyCharacter }), (text) => {
        const { observe, texts, lines } = setUp();
        observe({ type: "malformedMessage", server: "main", error: new ProtocolError("invalid", text) });
        assert.equal(lines[0]?.reason, text);
        assert.match(texts[0] ?? "", /^[^\0-\x1f]+\n$/);
      }),
    );
  });

  test("a malformed request is not quoted: its token stays out of the log", () => {
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
      { numRuns: 300 },
    );
    assert.ok(told > 100);
  });

  describe("Long lines", () => {
    const LONG = "x".repeat(60_000);
    const words = Array.from({ length: 100 }, (_, at) => `${at}"${LONG.slice(0, 300)}`);
    const interest: Interest = { selectors: words.map((value) => ({ kind: "exact", value })), grants: [] };

    function setUpLong() {
      const { clock, log, lines } = { clock: new FakeClock(), ...recordedLog("trace") };
      const registry = new Registry(new RecordingOutlet(clock), "http://hub.example/");
      const client = registry.add({ id: 1, remote: LONG, interest, since: 0 });
      return { lines, client, observe: new LogObserver(log, clock).observe, log };
    }

    const error = new ProtocolError("invalid", LONG);
    const long = { ...publication(1), id: LONG, topics: words };
    type Recorded = ReturnType<typeof setUpLong>;
    const told: readonly (readonly [what: string, tell: (it: Recorded) => void])[] = [
      ["connect", ({ observe, client }) => observe({ type: "clientConnected", server: "main", client, clients: 1 })],
      [
        "disconnect",
        ({ observe, client }) =>
          observe({ type: "clientDisconnected", server: "main", client, reason: "left", clients: 0 }),
      ],
      ["adopt", ({ observe, client }) => observe({ type: "clientAdopted", server: "main", client, clients: 1 })],
      ["publish", ({ observe }) => observe({ type: "published", publication: long })],
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
      [
        "a caller that does not abbreviate",
        ({ log }) => log.warn({ event: "x", reason: LONG, deep: { list: words } }, LONG),
      ],
      ["an error", ({ log }) => log.error({ event: "x", err: new Error(LONG) }, "failed")],
    ];

    for (const [what, tell] of told) {
      test(`${what}: a line is bounded`, () => {
        const recorded = setUpLong();
        tell(recorded);
        const characters = JSON.stringify(recorded.lines).length;
        assert.ok(recorded.lines.length === 1 && characters < 30_000, `${characters} characters`);
        if (!what.includes(" ")) assert.ok(characters < 1200, `${characters} characters`);
      });
    }

    test("the topics of a line say how many more there are", () => {
      const { observe, client, lines } = setUpLong();
      observe({ type: "clientConnected", server: "main", client, clients: 1 });
      assert.equal(([] as unknown[]).concat(lines[0]?.topics).at(-1), "and 98 more");
    });
  });
});
