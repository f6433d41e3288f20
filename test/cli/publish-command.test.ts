import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough, Readable } from "node:stream";
import { text } from "node:stream/consumers";
import { after, describe, test } from "node:test";
import { Pull } from "zeromq";
import { errorTexts } from "../../src/cli/error-texts.js";
import { addPublish } from "../../src/cli/publish-command.js";
import { ProtocolError } from "../../src/errors.js";
import { encodeError, encodeResults } from "../../src/protocol/publish-reply.js";
import { type Clock, systemClock } from "../../src/util/clock.js";
import { NativeServer } from "../../src/zmq/native-server.js";
import { freePort } from "../support/ports.js";
import { serverReceiver } from "../support/server-receiver.js";
import { runCommand } from "./harness.js";

const folder = mkdtempSync(join(tmpdir(), "m2push-publish-"));

describe("Publish command", () => {
  after(() => rmSync(folder, { recursive: true }));
  const spec = `ipc://${join(folder, "publish")}`;

  /** A clock on which every wait is over at once. */
  const impatient: Clock = {
    ...systemClock,
    after(_ms, done) {
      queueMicrotask(done);
      return () => undefined;
    },
  };

  type Answer = (parts: string[], count: number) => Buffer | undefined;
  const acknowledge: Answer = (_, count) => encodeResults([{ id: `${count}` }], false);

  /** A daemon's socket at the address that answers each event; undefined = it never answers. */
  async function daemonSocket(answer: Answer = acknowledge) {
    const server = new NativeServer(spec, systemClock);
    const received: string[][] = [];
    await server.start({
      ...serverReceiver(() => false),
      request(parts, reply) {
        const count = received.push(parts.map(String));
        const body = answer(parts.map(String), count);
        if (body) reply(body);
      },
    });
    return { server, received };
  }

  /** Runs the command beside a daemon's socket and resolves with the events that came in. */
  async function published(args: string[], given: Parameters<typeof runCommand>[2] = {}, answer = acknowledge) {
    const { server, received } = await daemonSocket(answer);
    const outcome = await runCommand(addPublish, ["publish", ...args], given);
    await server.close();
    return { ...outcome, received };
  }

  test("an event goes to the daemon as topic, data and JSON, and its id is printed", async () => {
    const args = [
      "-t",
      "news",
      "--id",
      "7",
      "--type",
      "headline",
      "--retry",
      "100",
      "--private",
      "--ttl",
      "10m",
      "--final",
      "--zmq",
      spec,
      "héllo\nworld",
    ];
    const { code, stdout, stderr, received } = await published(args);
    assert.deepEqual({ code, stdout, stderr }, { code: 0, stdout: "1\n", stderr: "" });
    const [topic, data, json = ""] = received[0] ?? [];
    assert.deepEqual([topic, data], ["news", "héllo\nworld"]);
    assert.deepEqual(JSON.parse(json), {
      id: "7",
      type: "headline",
      retry: 100,
      ttl: "10m",
      final: true,
      private: true,
    });
  });

  test("without options the topic is message and the JSON is empty", async () => {
    const { received } = await published(["--zmq", spec, "x"]);
    assert.deepEqual(received, [["message", "x", "{}"]]);
  });

  test("several topics go as one part of JSON, the only form that has room for them", async () => {
    const { received } = await published(["-t", "a", "-t", "b", "--id", "7", "--zmq", spec, "x"]);
    assert.equal(received[0]?.length, 1);
    assert.deepEqual(JSON.parse(String(received[0]?.[0])), { topics: ["a", "b"], data: "x", id: "7" });
  });

  test("- publishes every line of standard input in its order, empty ones and the last without line end too", async () => {
    const lines = Array.from({ length: 3_000 }, (_, index) => `line ${index}`);
    const stdin = Readable.from([`\r\n${lines.join("\n")}`]);
    const { code, stdout, received } = await published(["-t", "log", "--zmq", spec, "-"], { stdin });
    assert.equal(code, 0);
    assert.equal(stdout, Array.from({ length: 3_001 }, (_, index) => `${index + 1}\n`).join(""));
    assert.deepEqual(
      received.map(([, data]) => data),
      ["", ...lines],
    );
  });

  test("the address comes from the configuration when it is not given", async () => {
    writeFileSync(join(folder, "f.toml"), "[publish]\nzmq = 'ipc://publish'\n");
    const byFile = await published(["-c", "f.toml", "x"], { cwd: folder });
    assert.equal(byFile.received.length, 1);
    const byVariable = await published(["y"], { env: { M2PUSH_PUBLISH_ZMQ: spec } });
    assert.equal(byVariable.received.length, 1);
  });

  test("where no daemon answers, the command fails and says where it looked and what to do", async () => {
    const { code, stderr } = await runCommand(addPublish, ["publish", "--zmq", `${spec}-none`, "x"], {
      clock: impatient,
    });
    assert.equal(code, 1);
    assert.match(
      stderr,
      /^m2push: the daemon at ipc:\S+-none did not answer within 10 s: .*; fix: start `m2push serve`.*\n$/,
    );
  });

  test("an event that the daemon rejects fails with the code and the reason", async () => {
    const error = new ProtocolError("rate_limited", "too many events", { retryAfterMs: 1500 });
    const { code, stdout, stderr } = await published(["--zmq", spec, "x"], {}, () => encodeError(error));
    assert.deepEqual([code, stdout], [1, ""]);
    assert.equal(
      stderr,
      `m2push: the daemon at ${spec} rejected the event (rate_limited): too many events; retry after 1.5 s\n`,
    );
  });

  test("an event without an acknowledgement in time fails, and may be published", async () => {
    let end = () => {};
    const clock: Clock = {
      ...systemClock,
      after(ms, run) {
        if (ms === 7_000) end = run;
        return systemClock.after(ms, run);
      },
    };
    const never: Answer = () => {
      end();
      return undefined;
    };
    const { code, stdout, stderr } = await published(["--zmq", spec, "--timeout", "7", "x"], { clock }, never);
    assert.deepEqual([code, stdout], [1, ""]);
    assert.match(stderr, /has not acknowledged the event: no reply within 7000 ms; it may be published or not; fix: /);
  });

  test("an event whose connection ends before the acknowledgement fails, and may be published", async () => {
    const { server } = await daemonSocket((_, count) => {
      assert.equal(count, 1);
      void server.close();
      return undefined;
    });
    const { code, stderr } = await runCommand(addPublish, ["publish", "--zmq", spec, "x"]);
    assert.equal(code, 1);
    assert.match(stderr, /has not acknowledged the event: the connection has ended; it may be published or not; fix: /);
    await server.close();
  });

  test("with a key, an event whose connection ends before the acknowledgement is sent again to the next daemon", async () => {
    let next: ReturnType<typeof daemonSocket> | undefined;
    const first = await daemonSocket(() => {
      next = first.server.close().then(() => daemonSocket());
      return undefined;
    });
    const outcome = await runCommand(addPublish, ["publish", "--key", "k-1", "--zmq", spec, "x"]);
    assert.deepEqual(outcome, { code: 0, stdout: "1\n", stderr: "" });
    const second = await next;
    await second?.server.close();
    assert.deepEqual(first.received, [["message", "x", '{"key":"k-1"}']]);
    assert.deepEqual(second?.received, first.received);
  });

  test("with - and a key each line has a key of its own", async () => {
    const { received } = await published(["--key", "import", "--zmq", spec, "-"], { stdin: Readable.from(["a\nb\n"]) });
    assert.deepEqual(
      received.map(([, , json = ""]) => JSON.parse(json)),
      [{ key: "import:1" }, { key: "import:2" }],
    );
  });

  test("an event waits for a daemon that starts later", async () => {
    const outcome = runCommand(addPublish, ["publish", "--zmq", spec, "x"]);
    await new Promise(setImmediate);
    const { server } = await daemonSocket();
    assert.deepEqual(await outcome, { code: 0, stdout: "1\n", stderr: "" });
    await server.close();
  });

  test("a server that is none for publishers is named as such", async () => {
    const pull = new Pull();
    const address = `tcp://127.0.0.1:${await freePort()}`;
    await pull.bind(address);
    const { code, stderr } = await runCommand(addPublish, ["publish", "--timeout", "1", "--zmq", address, "x"]);
    assert.equal(code, 1);
    assert.match(
      stderr,
      /did not answer within 1 s: .*a PULL socket is connected to the DEALER socket of m2push; fix: /,
    );
    pull.close();
  });

  test("with - the first line that is rejected ends the command; ids of all published lines are printed in order", async () => {
    const reject: Answer = ([, data], count) =>
      data === "bad" ? encodeError(new ProtocolError("invalid", "no")) : encodeResults([{ id: `${count}` }], false);
    const stdin = Readable.from(["a\nb\nbad\nd\nbad\nf\n"]);
    const { code, stdout, stderr } = await published(["--zmq", spec, "-"], { stdin }, reject);
    assert.equal(code, 1);
    assert.equal(stdout, "1\n2\n4\n6\n");
    assert.equal(
      stderr,
      `m2push: line 3 of standard input: the daemon at ${spec} rejected the event (invalid): no; ` +
        "3 lines after it were already read: all but 5 of them are acknowledged, and no line after 6 was published\n",
    );
  });

  test("with - a line that no event can hold is not sent, nor are those after it", async () => {
    const stdin = Readable.from([`a\n${"x".repeat(100_000)}\nc\n`]);
    const { code, stdout, stderr, received } = await published(["--zmq", spec, "-"], { stdin });
    assert.equal(code, 1);
    assert.equal(stdout, "1\n");
    assert.match(stderr, /^m2push: line 2 of standard input: the event as it is sent has 100077 bytes/);
    assert.deepEqual(received, [["message", "a", "{}"]]);
  });

  test("with - the id of a line is printed before the next line is read", async () => {
    const { server } = await daemonSocket();
    const [stdin, stdout] = [new PassThrough(), new PassThrough()];
    const outcome = runCommand(addPublish, ["publish", "--zmq", spec, "-"], { stdin, stdout });
    for (const id of ["1\n", "2\n"]) {
      stdin.write("line\n");
      assert.equal(String(await new Promise((resolve) => stdout.once("data", resolve))), id);
    }
    stdin.end();
    assert.equal((await outcome).code, 0);
    await server.close();
  });

  interface Seen {
    readonly method: string | undefined;
    readonly headers: IncomingMessage["headers"];
    readonly form: [string, string][];
  }

  /** A hub that answers each request by the next answer, and notes what it saw. */
  async function withHub(answers: [status: number, body: string][], use: (url: string, seen: Seen[]) => Promise<void>) {
    const seen: Seen[] = [];
    const respond = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
      const [status, body] = answers[seen.length] ?? [500, ""];
      seen.push({
        method: request.method,
        headers: request.headers,
        form: [...new URLSearchParams(await text(request))],
      });
      response.writeHead(status, { location: "/elsewhere", connection: "close" }).end(body);
    };
    const server = createServer((request, response) => void respond(request, response));
    const url = await listen(server);
    try {
      await use(`${url}/.well-known/mercure`, seen);
    } finally {
      await new Promise((resolve) => server.close(resolve));
    }
  }

  function listen(server: Server): Promise<string> {
    return new Promise((resolve, reject) => {
      server.once("error", reject);
      server.listen(0, "127.0.0.1", () => resolve(`http://127.0.0.1:${(server.address() as AddressInfo).port}`));
    });
  }

  test("with --url the event is posted as a form with the token, and the acknowledged id is printed", async () => {
    await withHub([[200, "urn:uuid:1\n"]], async (url, seen) => {
      const event = [
        "-t",
        "a b",
        "-t",
        "c",
        "--id",
        "7",
        "--type",
        "t",
        "--retry",
        "5",
        "--private",
        "--ttl",
        "90",
        "--final",
        "x=1&y\n",
      ];
      const outcome = await runCommand(addPublish, ["publish", "--url", url, "--token", "abc", ...event]);
      assert.deepEqual(outcome, { code: 0, stdout: "urn:uuid:1\n", stderr: "" });
      const [{ method, headers, form } = { method: "", headers: {}, form: [] }] = seen;
      assert.equal(method, "POST");
      assert.match(String(headers["content-type"]), /^application\/x-www-form-urlencoded/);
      assert.equal(headers.authorization, "Bearer abc");
      assert.deepEqual(form, [
        ["topic", "a b"],
        ["topic", "c"],
        ["data", "x=1&y\n"],
        ["id", "7"],
        ["type", "t"],
        ["retry", "5"],
        ["private", "on"],
        ["ttl", "90s"],
        ["final", "on"],
      ]);
    });
  });

  test("with --url and a key, a request whose response is lost is repeated with the key", async () => {
    const keys: unknown[] = [];
    const server = createServer((request, response) => {
      if (keys.push(request.headers["idempotency-key"]) === 1) request.destroy();
      else response.writeHead(200, { connection: "close" }).end("1");
    });
    const url = await listen(server);
    const outcome = await runCommand(addPublish, ["publish", "--url", url, "--key", 'a"b', "x"]);
    await new Promise((resolve) => server.close(resolve));
    assert.deepEqual(outcome, { code: 0, stdout: "1\n", stderr: "" });
    assert.deepEqual(keys, ['"a\\"b"', '"a\\"b"']);
  });

  test("without a token none is sent, and without options neither are their fields", async () => {
    await withHub([[200, "1"]], async (url, seen) => {
      await runCommand(addPublish, ["publish", "--url", url, "x"]);
      assert.equal(seen[0]?.headers.authorization, undefined);
      assert.deepEqual(seen[0]?.form, [
        ["topic", "message"],
        ["data", "x"],
      ]);
    });
  });

  test("with --url and - every line has its id, and the first refusal ends the command", async () => {
    const answers: [number, string][] = [
      [200, "1"],
      [200, "2"],
      [401, "no\ntoken"],
      [200, "4"],
    ];
    await withHub(answers, async (url, seen) => {
      const stdin = Readable.from(["a\nb\nc\nd\n"]);
      const { code, stdout, stderr } = await runCommand(addPublish, ["publish", "--url", url, "-"], { stdin });
      assert.equal(code, 1);
      assert.equal(stdout, "1\n2\n");
      assert.equal(stderr, `m2push: line 3 of standard input: ${url} answered 401 Unauthorized: no token\n`);
      assert.equal(seen.length, 3);
    });
  });

  test("after a failure standard input is let go of, though its writer keeps it open", async () => {
    await withHub([[500, "broken"]], async (url) => {
      const stdin = new PassThrough();
      stdin.write("a\n");
      const { code } = await runCommand(addPublish, ["publish", "--url", url, "-"], { stdin });
      assert.equal(code, 1);
      assert.equal(stdin.destroyed, true);
    });
  });

  test("a redirection is an answer like any other that is not 2xx: it is not followed", async () => {
    await withHub([[302, "moved"]], async (url, seen) => {
      const { code, stderr } = await runCommand(addPublish, ["publish", "--url", url, "x"]);
      assert.equal(code, 1);
      assert.match(stderr, /answered 302 Found: moved/);
      assert.equal(seen.length, 1);
    });
  });

  test("a hub that cannot be reached is named with the reason", async () => {
    const server = createServer();
    const url = await listen(server);
    await new Promise((resolve) => server.close(resolve));
    const { code, stderr } = await runCommand(addPublish, ["publish", "--url", url, "x"]);
    assert.equal(code, 1);
    assert.match(stderr, /^m2push: cannot reach http:\/\/127\.0\.0\.1:\d+\/: connect ECONNREFUSED .*\n$/);
  });

  /** A line that is exactly this error. */
  const exactly = (text: string): RegExp => new RegExp(`^m2push: ${text.replace(/[()[\]"'.]/g, "\\$&")}\n$`);

  const USAGE: [args: string[], line: RegExp][] = [
    [["--timeout", "0", "x"], /'0' is invalid\. Expected a number of seconds above 0\./],
    [["--timeout", "1m", "x"], /'1m' is invalid\. Expected a number of seconds above 0\./],
    [["--retry", "5s", "x"], /'5s' is invalid\. Expected a whole number of milliseconds\./],
    [["--key", "a b", "x"], /'a b' is invalid\. Expected 1 to 240 visible ASCII characters\./],
    [["--ttl", "soon", "x"], /'soon' is invalid\. ttl must be a whole number of seconds, or a duration/],
    [["--ttl", "0", "x"], /ttl must be longer than 0/],
    [["--url", "localhost", "x"], /'localhost' is invalid\. Expected a URL/],
    [["--zmq", "localhost", "x"], /'localhost' is invalid\. Expected an address/],
    [["--url", "http://a", "--zmq", "tcp://a:1", "x"], /cannot be used with option/],
    [["--token", "abc", "x"], exactly(errorTexts.tokenWithoutUrl)],
    [["--id", "1", "-"], exactly(errorTexts.idOfMany)],
    [["-t", "", "--zmq", "tcp://127.0.0.1:1", "x"], /topic/],
    [["--id", "#1", "--zmq", "tcp://127.0.0.1:1", "x"], /id/],
    [["a", "b"], /too many arguments/],
  ];

  for (const [args, line] of USAGE) {
    test(`wrong usage has exit code 2 before anything is sent: ${args.join(" ")}`, async () => {
      const { code, stdout, stderr } = await runCommand(addPublish, ["publish", ...args]);
      assert.equal(code, 2, stderr);
      assert.equal(stdout, "");
      assert.match(stderr, line);
      assert.equal(stderr.split("\n").length, 2);
    });
  }

  test("with [publish] zmq off, the error names the options to use instead", async () => {
    const { code, stderr } = await runCommand(addPublish, ["publish", "x"], { env: { M2PUSH_PUBLISH_ZMQ: "" } });
    assert.equal(code, 2);
    assert.equal(stderr, `m2push: ${errorTexts.zmqOff}\n`);
  });

  // What was piped in was dropped, and an empty event published.
  test("without data nothing is published, even with standard input; an empty argument is an empty event", async () => {
    for (const args of [
      ["--zmq", spec],
      ["-t", "a", "--zmq", spec],
    ]) {
      const { code, stderr, received } = await published(args, { stdin: Readable.from(["piped\n"]) });
      assert.deepEqual([code, received], [2, []]);
      assert.equal(stderr, `m2push: ${errorTexts.noData}\n`);
    }
    assert.deepEqual((await published(["--zmq", spec, ""])).received, [["message", "", "{}"]]);
  });

  test("a line that is not UTF-8 ends the command and is named; those before it are published", async () => {
    const stdin = Readable.from([Buffer.from("a\nb\n\xff\n", "latin1")]);
    const { code, stdout, stderr } = await published(["--zmq", spec, "-"], { stdin });
    assert.equal(code, 1);
    assert.equal(stdout, "1\n2\n");
    assert.match(stderr, /^m2push: line 3 of standard input is not UTF-8; fix: /);
  });
});
