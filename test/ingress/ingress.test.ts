/** The ingress for ZeroMQ publishers, from the parts of a message to the events that subscribers receive and the log lines. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { M2pushError } from "../../src/errors.js";
import { Ingress, type IngressOptions } from "../../src/ingress/ingress.js";
import { LogObserver } from "../../src/observability/log/log-observer.js";
import { LIMITS } from "../../src/protocol/limits.js";
import { publishError } from "../../src/protocol/publish-error.js";
import { Publisher } from "../../src/publishing/publisher.js";
import { RateLimiter } from "../../src/publishing/rate-limiter.js";
import { anyText, bytes } from "../support/arbitraries.js";
import { FakeClock } from "../support/clock.js";
import { type Bench, bench } from "../support/hub.js";
import { recordedLog } from "../support/log.js";

type Part = string | Buffer;

/** An ingress with a hub and one subscriber of everything; `options` replace its own. */
async function open(options: Partial<IngressOptions> = {}) {
  const it: Bench = await bench();
  const { log, lines } = recordedLog();
  const observe = new LogObserver(log, it.clock).observe;
  const errors: M2pushError[] = [];
  let receive: (parts: Buffer[], connection?: { name: string; holdFor(ms: number): void }) => boolean = () => false;
  let request: (parts: Buffer[], reply: (body: Buffer) => void, connection: string) => void = () => {};
  const ingress = new Ingress({
    source: {
      async start(to) {
        receive = to.message;
        request = to.request;
      },
      async close() {},
    },
    post: (draft) => it.hub.post(draft),
    publisher: new Publisher({ hub: it.hub, keys: it.history, repeated: () => {} }),
    rates: new RateLimiter({ rate: 0, burst: 1 }, it.clock),
    batchLimits: { maxEvents: 3, maxBytes: 10_000 },
    isReserved: (topic) => topic.startsWith("/hub"),
    rejected: (error) => {
      errors.push(error);
      observe({ type: "publicationRejected", source: "zmq", error });
    },
    observer: { refused() {}, failed() {}, recovered() {}, broken() {} },
    ...options,
  });
  await ingress.start();
  it.connect(1);
  /** A message of the connection `name` comes in; resolves with the milliseconds for which the connection is held then. */
  const sendFrom = async (name: string, ...parts: Part[]): Promise<number> => {
    let held = 0;
    const holdFor = (ms: number) => {
      held = ms;
    };
    receive(
      parts.map((part) => Buffer.from(part)),
      { name, holdFor },
    );
    await new Promise(setImmediate);
    return held;
  };
  /** A message of a publisher that gets a reply comes in; resolves with the reply. */
  const askFrom = async (name: string, ...parts: Part[]): Promise<unknown> => {
    const reply = new Promise<Buffer>((resolve) =>
      request(
        parts.map((part) => Buffer.from(part)),
        resolve,
        name,
      ),
    );
    return JSON.parse((await reply).toString());
  };
  return {
    ...it,
    ingress,
    lines,
    errors,
    /** A message comes in; resolves when whatever follows from it has happened. */
    async send(...parts: Part[]): Promise<void> {
      receive(parts.map((part) => Buffer.from(part)));
      await new Promise(setImmediate);
    },
    sendFrom,
    sendPaced: (...parts: Part[]) => sendFrom("1", ...parts),
    askFrom,
    ask: (...parts: Part[]) => askFrom("2", ...parts),
    /** What the subscriber was sent since the last call. */
    stream(): string {
      it.outlet.acknowledgeAll();
      const text = it.outlet.received.get(1) ?? "";
      it.outlet.received.set(1, "");
      return text;
    },
  };
}

/** What a message becomes in the stream; each has the epoch's first id unless it brings its own. */
const FORMS: readonly (readonly [what: string, parts: readonly Part[], event: string, topics: readonly string[]])[] = [
  ["topic and data", ["news", "hello"], "id: #EPOCH.1\ndata: hello\n\n", ["news"]],
  ["topic and data of several lines", ["news", "a\r\nb\nc"], "id: #EPOCH.1\ndata: a\ndata: b\ndata: c\n\n", ["news"]],
  ["topic and no data", ["news", ""], "id: #EPOCH.1\ndata: \n\n", ["news"]],
  ["topic, data and empty JSON", ["news", "hello", "{}"], "id: #EPOCH.1\ndata: hello\n\n", ["news"]],
  [
    "topic, data and JSON",
    ["news", "hello", '{"id":"order-7","type":"order","retry":2000,"private":false}'],
    "event: order\nretry: 2000\nid: order-7\ndata: hello\n\n",
    ["news"],
  ],
  ["one JSON object", ['{"topic":"news","data":"hello"}'], "id: #EPOCH.1\ndata: hello\n\n", ["news"]],
  [
    "one JSON object with everything",
    [' {"topics":["news","sport"],"data":"hello","id":"x","type":"t","retry":0,"private":false}\n'],
    "event: t\nretry: 0\nid: x\ndata: hello\n\n",
    ["news", "sport"],
  ],
  [
    "the tutorial's raw frame",
    ["id: 1\r\ndata: Timestamp 2011-01-01 00:00:00\r\n\r\n"],
    "id: 1\ndata: Timestamp 2011-01-01 00:00:00\n\n",
    ["message"],
  ],
  [
    "a block without a blank line",
    ["event: t\ndata: a\ndata: b"],
    "event: t\nid: #EPOCH.1\ndata: a\ndata: b\n\n",
    ["message"],
  ],
  ["a block of data only", ["data: x\n\n"], "id: #EPOCH.1\ndata: x\n\n", ["message"]],
];

describe("Ingress", () => {
  for (const [what, parts, event, topics] of FORMS) {
    test(`${what} is published`, async () => {
      const opened = await open();
      opened.stream();
      await opened.send(...parts);
      assert.deepEqual(opened.errors, []);
      assert.equal(opened.stream(), event.replace("EPOCH", opened.history.epoch));
      const { publications } = await opened.history.read(0, { through: 9, maxBytes: 1e6 });
      assert.deepEqual(
        publications.map((it) => it.topics),
        [topics],
      );
    });
  }

  test("a private event reaches no one without the grant", async () => {
    const opened = await open();
    opened.stream();
    await opened.send("news", "secret", '{"private":true}');
    await opened.send('{"topic":"news","data":"secret","private":true}');
    assert.equal(opened.history.last, 2);
    assert.equal(opened.stream(), "");
  });

  const ours = (epoch: string) => JSON.stringify({ id: `${epoch}.5` });
  const BAD: readonly (readonly [
    what: string,
    code: string,
    why: RegExp,
    parts: (epoch: string) => readonly Part[],
  ])[] = [
    ["no part", "invalid", /1 to 3 parts, not 0/, () => []],
    ["four parts", "invalid", /1 to 3 parts, not 4/, () => ["a", "b", "{}", "d"]],
    ["nothing", "invalid", /neither a JSON object nor an EventSource block/, () => [""]],
    ["a word", "invalid", /neither a JSON object nor an EventSource block/, () => ["hello"]],
    ["two blocks", "invalid", /2 EventSource blocks/, () => ["data: a\n\ndata: b\n\n"]],
    ["a block without data", "invalid", /no data/, () => ["id: 7\n\n"]],
    ["no topic", "invalid", /topic is empty/, () => ["", "x"]],
    ["every topic", "invalid", /"\*" stands for every topic/, () => ["*", "x"]],
    ["broken JSON", "invalid", /broken JSON/, () => ['{"topic":']],
    ["broken JSON beside", "invalid", /broken JSON/, () => ["t", "x", "{not json"]],
    ["JSON that is no object", "invalid", /must be an object/, () => ["t", "x", "[]"]],
    ["JSON without data", "invalid", /"data" is missing/, () => ['{"topic":"t"}']],
    ["an unknown key", "invalid", /unknown key "dta"/, () => ['{"topic":"t","dta":"x"}']],
    ["__proto__", "invalid", /unknown key "__proto__"/, () => ['{"topic":"t","data":"x","__proto__":{}}']],
    ["an id that is a number", "invalid", /"id" must be a string/, () => ["t", "x", '{"id":7}']],
    ["an id that begins with #", "invalid", /must not begin with "#"/, () => ["t", "x", '{"id":"#7"}']],
    ["the id earliest", "invalid", /"earliest" is reserved/, () => ["t", "x", '{"id":"earliest"}']],
    ["an id that looks like ours", "invalid", /./, (epoch) => ["t", "x", ours(epoch)]],
    ["a reserved type", "invalid", /reserved/, () => ["t", "x", '{"type":"m2push-gap"}']],
    ["Mercure's type", "invalid", /reserved/, () => ["t", "x", '{"type":"mercure"}']],
    ["invalid UTF-8 in the data", "invalid", /data is not valid UTF-8/, () => ["t", Buffer.from([0xff, 0xfe])]],
    ["invalid UTF-8 in the topic", "invalid", /topic is not valid UTF-8/, () => [Buffer.from([0x80]), "x"]],
    ["invalid UTF-8 alone", "invalid", /message is not valid UTF-8/, () => [Buffer.from([0xc3])]],
    ["a line break in an id", "invalid", /U\+000A/, () => ["t", "x", '{"id":"a\\nb"}']],
    ["a terminal's control byte in a topic", "invalid", /^[^\p{Cc}]*"a\\u009bb" has U\+009B/u, () => ["a\u009bb", "x"]],
    ["NUL in a topic", "invalid", /U\+0000/, () => ["a\0b", "x"]],
    ["data that is too large", "too_large", /at most 100000/, () => ["t", "x".repeat(LIMITS.eventBytes)]],
    ["a message that is too large", "too_large", /at most 1000000/, () => ["t", "x", "y".repeat(LIMITS.messageBytes)]],
    ["a retry without end", "too_large", /retry of 1e\+300 ms/, () => ["t", "x", '{"retry":1e300}']],
  ];

  for (const [what, code, why, parts] of BAD) {
    test(`${what}: refused with the reason, and the next good event arrives`, async () => {
      const opened = await open();
      await opened.send(...parts(opened.history.epoch));
      await opened.send("t", "good");
      assert.deepEqual(
        opened.errors.map((error) => error.code),
        [code],
      );
      assert.match(opened.errors[0]?.message ?? "", why);
      assert.deepEqual(opened.lines[0] && { ...opened.lines[0], time: "" }, {
        level: "warn",
        time: "",
        event: "publication_rejected",
        source: "zmq",
        code,
        reason: opened.errors[0]?.message,
        suppressed: 0,
        msg: "publication rejected",
      });
      assert.match(opened.stream(), /\ndata: good\n\n$/);
    });
  }

  test("a flood of bad messages is one line a second for each kind, with the number that was left out", async () => {
    const opened = await open();
    for (let count = 0; count < 1000; count++) await opened.send("nonsense");
    await opened.send("t", "x".repeat(LIMITS.eventBytes));
    opened.clock.advance(1000);
    await opened.send("nonsense");
    assert.deepEqual(
      opened.lines.map(({ code, suppressed }) => [code, suppressed]),
      [
        ["invalid", 0],
        ["too_large", 0],
        ["invalid", 999],
      ],
    );
  });

  test("an event that could not be kept is told like a bad one, and the next is taken", async () => {
    let isFull = true;
    const opened = await open({
      post: async () => {
        if (isFull) throw new M2pushError("storage_failed", "the disk is full");
      },
    });
    await opened.send("t", "lost");
    isFull = false;
    await opened.send("t", "kept");
    assert.deepEqual(
      opened.errors.map(({ code, message }) => [code, message]),
      [["storage_failed", "the disk is full"]],
    );
  });

  test("an event with a trace context is posted like any other unless traces are recorded", async () => {
    let published = 0;
    const publisher: IngressOptions["publisher"] = {
      async publish() {
        published++;
        return [{ id: "1" }];
      },
    };
    const traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    const message = JSON.stringify({ topic: "news", data: "hello", traceparent });
    const untraced = await open({ publisher });
    await untraced.send(message);
    assert.deepEqual([published, untraced.history.last], [0, 1]);
    const traced = await open({ publisher, traces: { now: () => 0 } });
    await traced.send(message);
    assert.deepEqual([published, traced.history.last], [1, 0]);
  });

  test("a request is answered with the id of its event", async () => {
    const { ask, history, errors, outlet } = await open();
    assert.deepEqual(await ask("t", "first"), { id: `#${history.epoch}.1` });
    assert.deepEqual(await ask('{"topic":"t","data":"second","id":"own"}'), { id: "own" });
    outlet.acknowledgeAll();
    assert.deepEqual(outlet.events(1), ["first", "second"]);
    assert.deepEqual(errors, []);
  });

  test("a request that is rejected is answered with the reason, which is reported as well", async () => {
    const { ask, errors } = await open();
    const message = '"data" is missing';
    assert.deepEqual(await ask('{"topic":"t"}'), {
      error: { code: "invalid", message, faults: [{ member: "data", code: "invalid", detail: message }] },
    });
    assert.deepEqual(await ask("/hub/x", "forged"), {
      error: { code: "invalid", message: "a topic is reserved for the hub" },
    });
    assert.deepEqual(
      errors.map(({ code }) => code),
      ["invalid", "invalid"],
    );
  });

  const line = (data: string) => `{"topic":"t","data":"${data}"}`;

  for (const [what, batch] of [
    ["JSON array", `[${line("1")},${line("2")}]`],
    ["batch of JSON lines", `${line("1")}\n${line("2")}\n`],
  ] as const) {
    test(`a ${what} is published as a whole, by every type of socket`, async () => {
      const { ask, send, history, outlet, errors } = await open();
      assert.deepEqual(await ask(batch), { events: [1, 2].map((offset) => ({ id: `#${history.epoch}.${offset}` })) });
      await send(batch);
      outlet.acknowledgeAll();
      assert.deepEqual(outlet.events(1), ["1", "2", "1", "2"]);
      assert.deepEqual(errors, []);
    });
  }

  test("a batch of one event is answered as a batch", async () => {
    const { ask, history } = await open();
    assert.deepEqual(await ask(`[${line("1")}]`), { events: [{ id: `#${history.epoch}.1` }] });
  });

  test("a batch with a fault is rejected as a whole, with all its faults", async () => {
    const { ask, send, outlet, errors } = await open();
    const batch = `${line("1")}\n{"topic":"t"}\n{"topic":"/hub/x","data":""}\n`;
    const { error } = (await ask(batch)) as { error: { code: string; faults: { line: number; member: string }[] } };
    assert.deepEqual(
      [error.code, ...error.faults.map((fault) => [fault.line, fault.member])],
      ["invalid", [2, "data"], [3, "topic"]],
    );
    await send(`[${line("1")},{}]`);
    await send(`[${Array(4).fill(line("x"))}]`);
    outlet.acknowledgeAll();
    assert.deepEqual(outlet.events(1), []);
    assert.deepEqual(
      errors.map(({ code }) => code),
      ["invalid", "invalid", "too_large"],
    );
  });

  test("a batch of which a cluster has stored a part is answered with the result of each event", async () => {
    const error = new M2pushError("unavailable", "NATS has not answered");
    const described = { ...publishError(error), retry_after: 1 };
    const { ask, errors } = await open({ publisher: { publish: async () => [{ id: "1" }, { error }] } });
    assert.deepEqual(await ask(`[${line("1")},${line("2")}]`), {
      error: described,
      events: [{ id: "1" }, { error: described }],
    });
    assert.deepEqual(errors, [error]);
  });

  test("an event with a key is published once, by every type of socket", async () => {
    const { ask, send, history, outlet } = await open();
    const event = '{"topic":"t","data":"x","key":"k"}';
    await send(event);
    assert.deepEqual(await ask(event), { id: `#${history.epoch}.1` });
    assert.deepEqual(await ask("t", "x", '{"key":"k"}'), { id: `#${history.epoch}.1` });
    outlet.acknowledgeAll();
    assert.deepEqual(outlet.events(1), ["x"]);
  });

  test("a PUSH socket over the rate is held, batches and keys as well, and nothing of it is dropped", async () => {
    const clock = new FakeClock();
    const { sendPaced, outlet, errors } = await open({ rates: new RateLimiter({ rate: 10, burst: 2 }, clock) });
    assert.equal(await sendPaced("t", "1"), 0);
    assert.equal(await sendPaced("rubbish"), 0);
    assert.equal(await sendPaced("t", "2"), 0);
    assert.equal(await sendPaced("t", "3", '{"key":"k"}'), 100);
    clock.advance(100);
    assert.equal(await sendPaced(`[${line("4")},${line("5")}]`), 200);
    outlet.acknowledgeAll();
    assert.deepEqual(outlet.events(1), ["1", "2", "3", "4", "5"]);
    assert.equal(errors.length, 1);
  });

  test("connections have a rate each, unless the publisher is known", async () => {
    const clock = new FakeClock();
    const rates = new RateLimiter({ rate: 10, burst: 1 }, clock);
    const unknown = await open({ rates });
    assert.deepEqual([await unknown.sendFrom("a", "t", "1"), await unknown.sendFrom("a", "t", "2")], [0, 100]);
    assert.equal(await unknown.sendFrom("b", "t", "3"), 0);
    const known = await open({ rates, scope: "curve:sensors" });
    assert.deepEqual([await known.sendFrom("a", "t", "1"), await known.sendFrom("b", "t", "2")], [0, 100]);
  });

  test("a request over the rate of its connection is rejected, and those of other connections are not", async () => {
    const it = await bench();
    const rates = new RateLimiter({ rate: 10, burst: 1 }, it.clock);
    const publisher = new Publisher({ hub: it.hub, keys: it.history, repeated: () => {}, rates });
    const { askFrom } = await open({ publisher });
    const id = (offset: number) => ({ id: `#${it.history.epoch}.${offset}` });
    assert.deepEqual(await askFrom("a", "t", "1"), id(1));
    assert.match(JSON.stringify(await askFrom("a", "t", "2")), /"code":"rate_limited".*"retry_after":0\.1/);
    assert.deepEqual(await askFrom("b", "t", "3"), id(2));
  });

  test("a request that cannot be stored is told when to try again", async () => {
    const error = new M2pushError("storage_failed", "the disk is full", { retryAfterMs: 2500 });
    const { ask, errors } = await open({ publisher: { publish: () => Promise.reject(error) } });
    assert.deepEqual(await ask("t", "x"), {
      error: { ...publishError(error), retry_after: 2.5 },
    });
    assert.deepEqual(errors, [error]);
  });

  test("a defect is reported with its message, and answered without it", async () => {
    const { ask, errors } = await open({
      publisher: { publish: () => Promise.reject(new TypeError("x is undefined")) },
    });
    assert.deepEqual(await ask("t", "x"), {
      error: { code: "internal", message: "an internal error; fix: check the log of the daemon" },
    });
    assert.deepEqual(
      errors.map(({ code, message }) => [code, message]),
      [["internal", "x is undefined"]],
    );
  });

  test("while the daemon stops events are refused, not lost in silence", async () => {
    const opened = await open();
    opened.hub.seal();
    await opened.send("t", "late");
    assert.deepEqual(
      opened.errors.map(({ code }) => code),
      ["unavailable"],
    );
  });

  test("events keep the order in which they came, whatever is between them", async () => {
    const opened = await open();
    opened.stream();
    await Promise.all(
      Array.from({ length: 300 }, (_, index) => [opened.send("t", `${index}`), opened.send("rubbish")]).flat(),
    );
    opened.outlet.acknowledgeAll();
    assert.deepEqual(
      opened.outlet.events(1),
      Array.from({ length: 300 }, (_, index) => `${index}`),
    );
  });

  test("close() closes the source", async () => {
    const calls: string[] = [];
    const opened = await open({
      source: { start: async () => void calls.push("start"), close: async () => void calls.push("close") },
    });
    await opened.ingress.close();
    assert.deepEqual(calls, ["start", "close"]);
  });

  const word = fc.constantFrom(
    "t",
    "*",
    "{}",
    "[]",
    "{",
    '{"topic":"t","data":"x"}',
    "data: x",
    "id: 1",
    "\n\n",
    "\0",
    "\u{feff}",
    "null",
  );
  const hostile = fc.oneof(
    bytes,
    anyText.map((text) => Buffer.from(text)),
    fc.array(word, { maxLength: 5 }).map((words) => Buffer.from(words.join(""))),
    fc.json().map((json) => Buffer.from(json)),
    fc
      .constantFrom("[".repeat(200_000), '{"data":'.repeat(100_000), "\n".repeat(300_000))
      .map((text) => Buffer.from(text)),
  );

  test("whatever comes in however many parts is either an event or an error that says why; the next good one arrives", async () => {
    const opened = await open();
    await fc.assert(
      fc.asyncProperty(fc.array(hostile, { maxLength: 5 }), async (parts) => {
        const before = opened.history.last + opened.errors.length;
        await opened.send(...parts);
        assert.equal(opened.history.last + opened.errors.length, before + 1);
        opened.stream();
        await opened.send("t", "good");
        assert.equal(opened.stream(), `id: #${opened.history.epoch}.${opened.history.last}\ndata: good\n\n`);
      }),
      { numRuns: 200 },
    );
    for (const { code, message } of opened.errors) {
      assert.match(code, /^(invalid|too_large)$/);
      assert.match(message, /^[^\p{Cc}]{10,300}$/u);
    }
  });

  test("nobody publishes in the hub's own namespace", async () => {
    const { send, errors, outlet } = await open();
    await send("/hub/subscriptions/x", "forged");
    await send(JSON.stringify({ topics: ["news", "/hub/subscriptions/x"], data: "forged" }));
    await send("news", "real");
    assert.deepEqual(
      errors.map(({ code }) => code),
      ["invalid", "invalid"],
    );
    outlet.acknowledgeAll();
    assert.deepEqual(outlet.events(1), ["real"]);
  });
});
