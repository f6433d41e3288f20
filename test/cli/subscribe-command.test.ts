import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import { after, describe, test } from "node:test";
import { MAX_EVENT_CHARACTERS } from "../../src/cli/subscribe/event-stream.js";
import { addSubscribe } from "../../src/cli/subscribe-command.js";
import { systemClock } from "../../src/util/clock.js";
import { Changes } from "../support/deadline.js";
import { runCommand } from "./harness.js";

type Answer = (response: ServerResponse, request: IncomingMessage) => void;

/** Streams the text, then ends the response unless it is to stay open. */
const stream =
  (text: string, { open = false } = {}): Answer =>
  (response) => {
    response.writeHead(200, { "content-type": "text/event-stream; charset=utf-8" });
    if (open) response.write(text);
    else response.end(text);
  };

const status =
  (code: number, headers: Record<string, string> = {}, text = "no"): Answer =>
  (response) => {
    response.writeHead(code, headers);
    response.end(code === 204 ? undefined : text);
  };

const gone = status(204);

describe("Subscribe command", () => {
  const folder = mkdtempSync(join(tmpdir(), "m2push-subscribe-"));
  const servers: Server[] = [];
  after(() => {
    for (const server of servers) server.closeAllConnections();
    for (const server of servers) server.close();
    rmSync(folder, { recursive: true });
  });

  /** A hub that gives these answers, one for each request, and then 204. */
  async function hub(...answers: Answer[]): Promise<{ url: string; requests: IncomingMessage[] }> {
    const requests: IncomingMessage[] = [];
    const server = createServer((request, response) => {
      requests.push(request);
      (answers[requests.length - 1] ?? gone)(response, request);
    });
    servers.push(server);
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/hub`, requests };
  }

  const subscribe = (args: string[], given: Parameters<typeof runCommand>[2] = {}) =>
    runCommand(addSubscribe, ["subscribe", ...args], given);

  test("prints the data of each event, and asks for every topic where none is named", async () => {
    const { url, requests } = await hub(
      stream("retry: 100\nevent: m2push-open\ndata: {}\nid: 1\n\ndata: one\ndata: two\n\ndata: ü\n\n"),
    );
    const { code, stdout } = await subscribe([url]);
    assert.deepEqual([code, stdout], [0, "one\ntwo\nü\n"]);
    assert.equal(requests[0]?.url, "/hub?topic=*&heartbeat=event");
    assert.equal(requests[0]?.headers.accept, "text/event-stream");
  });

  test("topics and the state at once are parameters; those of the URL stay", async () => {
    const { url, requests } = await hub();
    await subscribe([`${url}?match=a`]);
    await subscribe([url, "-t", "a b", "-t", "c/{id}", "--since", "10m"]);
    await subscribe([url, "--last", "5"]);
    await subscribe([url, "--latest"]);
    assert.deepEqual(
      requests.map((request) => request.url),
      [
        "/hub?match=a&heartbeat=event",
        "/hub?topic=a+b&topic=c%2F%7Bid%7D&since=10m&heartbeat=event",
        "/hub?topic=*&last=5&heartbeat=event",
        "/hub?topic=*&latest=1&heartbeat=event",
      ],
    );
    const both = await subscribe([url, "--latest", "--last", "5"]);
    assert.equal(both.code, 2);
    assert.equal((await subscribe([url, "--since", "yesterday"])).code, 2);
    assert.equal(requests.length, 4);
  });

  test("reconnects after the hub's retry delay, from the last handled event on, and says so", async () => {
    const { url, requests } = await hub(
      stream("retry: 100\nid: #a.1\ndata: 1\n\nid: é.2\ndata: 2\n\n"),
      status(503, { "retry-after": "0" }),
      stream("id: é.3\ndata: 3\n\n"),
    );
    const { code, stdout, stderr } = await subscribe([url, "--last-event-id", "#a.0"]);
    assert.deepEqual([code, stdout], [0, "1\n2\n3\n"]);
    const ids = requests.map(({ headers }) => Buffer.from(String(headers["last-event-id"]), "latin1").toString());
    assert.deepEqual(ids, ["#a.0", "é.2", "é.2", "é.3"]);
    const delays = [...stderr.matchAll(/connecting again in (\d\.\d) s$/gm)].map(([, seconds]) => Number(seconds));
    assert.equal(delays.length, 3);
    assert.ok((delays[0] ?? 9) < 0.2 && (delays[1] ?? 0) >= 0.2, stderr);
    assert.match(stderr, /^m2push: the hub has closed the stream; /);
    assert.match(stderr, /answered 503: no; /);
  });

  test("a gap is reported on standard error, and so is a stream without ids that is opened again", async () => {
    const gap = '{"reason":"expired","oldest":"#a.7"}';
    const { url } = await hub(stream(`retry: 100\nevent: m2push-gap\ndata: ${gap}\nid: #a.7\n\ndata: 8\n\n`), gone);
    const first = await subscribe([url]);
    assert.equal(first.stdout, "8\n");
    assert.match(first.stderr, /^m2push: gap: events are lost: \{"reason":"expired","oldest":"#a.7"\}$/m);
    const withoutIds = await hub(stream("retry: 100\ndata: 1\n\n"), stream("data: 3\n\n"));
    const second = await subscribe([withoutIds.url]);
    assert.match(second.stderr, /^m2push: gap: events are lost: \{"reason":"unknown","oldest":""\}$/m);
  });

  test("401, 403, other refusals and responses that are no stream are one line, with the fix, and are not repeated", async () => {
    const cases: readonly (readonly [Answer, RegExp])[] = [
      [status(401), /answered 401: no; fix: pass a token with --token-file or M2PUSH_TOKEN$/],
      [status(403, {}, "line\nline"), /answered 403: line line; fix: pass a token/],
      [status(404), /answered 404: no; fix: pass the URL of a hub/],
      [status(302, { location: "http://other/" }), /answered 302: no; fix: subscribe to http:\/\/other\/$/],
      [status(200, { "content-type": "text/html" }), /answered 200: no; expected an event stream/],
    ];
    for (const [answer, expected] of cases) {
      const { url, requests } = await hub(answer);
      const { code, stderr } = await subscribe([url]);
      assert.equal(code, 1);
      assert.match(stderr.trimEnd(), expected);
      assert.equal(stderr.trimEnd().split("\n").length, 1);
      assert.equal(requests.length, 1);
    }
  });

  test("the token comes from the option, the variable, or the file, which is read again for each connection", async () => {
    const path = join(folder, "token");
    writeFileSync(path, "first\n");
    const renew: Answer = (response, request) => {
      writeFileSync(path, "second\n");
      stream("retry: 100\n\n")(response, request);
    };
    const { url, requests } = await hub(renew, gone, gone, gone);
    await subscribe([url, "--token-file", path]);
    await subscribe([url, "--token", "option"], { env: { M2PUSH_TOKEN: "variable" } });
    await subscribe([url], { env: { M2PUSH_TOKEN: "variable" } });
    assert.deepEqual(
      requests.map(({ headers }) => headers.authorization),
      ["Bearer first", "Bearer second", "Bearer option", "Bearer variable"],
    );
    const odd = await subscribe([url, "--token", "a\nb"]);
    assert.equal(odd.code, 2);
    const missing = await subscribe([url, "--token-file", join(folder, "none")]);
    assert.match(missing.stderr, /--token-file: cannot read .* \(ENOENT\)/);
    assert.equal(requests.length, 4);
  });

  test("--json prints a line for each event, without characters that a terminal interprets", async () => {
    const { url } = await hub(stream("id: 7\nevent: price\ndata: a\ndata: \x1b[2J\u009b\n\n"));
    const { stdout } = await subscribe([url, "--json", "--count", "1"]);
    assert.equal(stdout, '{"id":"7","type":"price","data":"a\\n\\u001b[2J\\u009b"}\n');
    assert.deepEqual(JSON.parse(stdout), { id: "7", type: "price", data: "a\n\x1b[2J\u009b" });
  });

  test("on a terminal the data have no characters that it interprets, elsewhere they are unchanged", async () => {
    const text = "data: \x1b[2J\n\n";
    const { url } = await hub(stream(text), stream(text));
    assert.equal((await subscribe([url, "--count", "1"])).stdout, "\x1b[2J\n");
    const terminal = Object.assign(new PassThrough(), { isTTY: true });
    await subscribe([url, "--count", "1"], { stdout: terminal });
    assert.equal(String(terminal.read()), "\\u001b[2J\n");
  });

  test("--exec runs the command for each event in order, one at a time, with data and variables", async () => {
    const out = join(folder, "out");
    const events = Array.from(
      { length: 20 },
      (_, at) => `id: ${at}\nevent: t${at % 2}\ndata: d${at}\ndata: $(x)\n\n`,
    ).join("");
    const { url } = await hub(stream(`retry: 100\n${events}`));
    const command = `echo "begin $M2PUSH_ID $M2PUSH_TYPE $M2PUSH_TOPIC" >> out; cat >> out; echo >> out`;
    const { code, stderr } = await subscribe([url, "-t", "a", "-t", "b", "--exec", command], {
      cwd: folder,
      env: { PATH: process.env.PATH },
    });
    assert.equal(code, 0, stderr);
    const expected = Array.from({ length: 20 }, (_, at) => `begin ${at} t${at % 2} a\nb\nd${at}\n$(x)\n`).join("");
    assert.equal(readFileSync(out, "utf8"), expected);
  });

  test("a command that fails is reported, and so is one that cannot be started; the next event follows", async () => {
    const { url } = await hub(
      stream("id: 1\nevent: a\0b\ndata: 1\n\nid: 2\ndata: 2\n\nid: 3\ndata: 3\n\nid: 4\ndata: 4\n\n"),
    );
    const command = 'test "$M2PUSH_ID" = 2 && exit 3; test "$M2PUSH_ID" = 3 && kill -9 $$; true';
    const { code, stderr } = await subscribe([url, "--exec", command], { env: { PATH: process.env.PATH } });
    assert.equal(code, 0);
    const lines = stderr.split("\n");
    assert.match(lines[0] ?? "", /^m2push: the command could not be started \(.*null bytes.*\) for the event "1"$/);
    assert.equal(lines[1], 'm2push: the command ended with code 3 for the event "2"');
    assert.equal(lines[2], 'm2push: the command was ended by SIGKILL for the event "3"');
    assert.match(lines[3] ?? "", /closed the stream/);
  });

  test("--count ends it after this many events, while the stream is open", async () => {
    const { url } = await hub(stream("data: 1\n\ndata: 2\n\ndata: 3\n\n", { open: true }));
    const { code, stdout } = await subscribe([url, "--count", "2"]);
    assert.deepEqual([code, stdout], [0, "1\n2\n"]);
  });

  test("nothing is read while the output is full: the hub has to wait, and memory does not grow", async () => {
    const changes = new Changes();
    let [written, isHeld, isTaken] = [0, false, false];
    const { url } = await hub((response) => {
      response.writeHead(200, { "content-type": "text/event-stream" });
      const event = `data: ${"x".repeat(65_000)}\n\n`;
      const more = () => {
        while (written < 1000) {
          written++;
          if (response.write(event)) continue;
          isHeld = true;
          changes.tell();
          response.once("drain", more);
          return;
        }
        response.end();
      };
      more();
    });
    // Nothing reads it until the hub is held: one event fills it.
    const stdout = new PassThrough({ highWaterMark: 1000 });
    stdout.once("readable", () => {
      isTaken = true;
      changes.tell();
    });
    const done = subscribe([url, "--count", "1000"], { stdout });
    await changes.until(
      () => isHeld && isTaken,
      "the hub to be held",
      10_000,
      () => `${written} written`,
    );
    // What the kernel, node:http and this command hold: far below the 65 MB that the hub has.
    assert.ok(written < 400, `${written} events were written before the hub was held`);
    assert.ok(stdout.readableLength < 200_000, `${stdout.readableLength} bytes are in the output`);
    let read = 0;
    stdout.on("data", (bytes: Buffer) => {
      read += bytes.length;
    });
    assert.equal((await done).code, 0);
    assert.equal(read, 1000 * 65_001);
  });

  test("an event without an end ends the stream", async () => {
    const piece = `data: ${"x".repeat(1_000_000)}\n`;
    const endless: Answer = (response) => {
      response.writeHead(200, { "content-type": "text/event-stream" });
      response.write("retry: 100\n\n");
      const more = () => {
        while (!response.destroyed && response.write(piece));
        response.once("drain", more);
      };
      more();
    };
    const { url } = await hub(endless);
    const { code, stdout, stderr } = await subscribe([url]);
    assert.deepEqual([code, stdout], [0, ""]);
    assert.match(
      stderr,
      new RegExp(`^m2push: an event is longer than ${MAX_EVENT_CHARACTERS} characters; connecting again`),
    );
  });

  test("a stream that misses two heartbeats is opened again", async () => {
    const { url, requests } = await hub(
      stream("retry: 100\nevent: m2push-heartbeat\ndata: 0.05\n\n", { open: true }),
      stream("data: 1\n\n"),
    );
    const { code, stdout, stderr } = await subscribe([url]);
    assert.deepEqual([code, stdout, requests.length], [0, "1\n", 3]);
    assert.match(stderr, /^m2push: silent for 0.1 s; connecting again/);
  });

  test("a refusal whose text stops in the middle is tried again", async () => {
    const unfinished: Answer = (response) => response.writeHead(503).write("overl");
    const { url, requests } = await hub(unfinished);
    const clock = { ...systemClock, after: (ms: number, run: () => void) => systemClock.after(ms / 10, run) };
    const { code, stderr } = await subscribe([url], { clock });
    assert.deepEqual([code, requests.length], [0, 2]);
    assert.match(stderr, /^m2push: .* answered 503.*\(incomplete after 2 s\); connecting again/);
  });

  test("a hub that cannot be reached is tried again", async () => {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as AddressInfo;
    await new Promise((resolve) => server.close(resolve));
    const stderr = new PassThrough();
    const later = createServer((_, response) => gone(response, _));
    servers.push(later);
    stderr.once("data", () => later.listen(port, "127.0.0.1"));
    const { code } = await subscribe([`http://127.0.0.1:${port}/hub`], { stderr });
    assert.equal(code, 0);
  });
});
