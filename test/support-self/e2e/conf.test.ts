/** config/mongrel2.conf, the model that users start from: m2sh takes it, and it does what its comments say. */
import assert from "node:assert/strict";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { RawHandler, type Received } from "../../support/handler.js";
import { listening } from "../../support/mongrel2.js";
import { freePort } from "../../support/ports.js";
import { Child, PROJECT, removeDirectory, run, temporaryDirectory } from "../../support/processes.js";
import { RawConnection, raw } from "../../support/sse-client.js";

const CONF = readFileSync(join(PROJECT, "config/mongrel2.conf"), "utf8");
const SENDER = "54c6755b-9628-40a4-9a2d-cc82a816345e";
const UUID = /uuid='([^']+)'/.exec(CONF)?.[1] ?? "";
const ENV = { ...process.env, LOGNAME: "m2push" };

describe("config/mongrel2.conf", () => {
  const dir = temporaryDirectory();
  let server: Child;
  let handler: RawHandler;
  let port: number;

  before(async () => {
    port = await freePort();
    const [send, recv] = [await freePort(), await freePort()];
    for (const name of ["html", "logs", "run"]) mkdirSync(join(dir, name));
    for (const name of ["index.html", "events.js", "e.css", "a.svg", "LICENSE"])
      writeFileSync(join(dir, "html", name), name);
    const text = CONF.replace("port=6767", `port=${port}`).replace(":9999", `:${send}`).replace(":9998", `:${recv}`);
    writeFileSync(join(dir, "mongrel2.conf"), text);
    const { output } = await run("m2sh", ["load", "-config", "mongrel2.conf", "-db", "config.sqlite"], dir, ENV);
    assert.doesNotMatch(output, /ERROR/);
    server = new Child("mongrel2", ["config.sqlite", UUID], dir, ENV);
    await listening(server, [port, send, recv], () => server.stderr);
    const specs = { sendSpec: `tcp://127.0.0.1:${send}`, recvSpec: `tcp://127.0.0.1:${recv}`, sendIdent: SENDER };
    handler = await RawHandler.connect(specs);
  });

  after(async () => {
    await handler.close();
    await server.kill9();
    removeDirectory(dir);
  });

  const get = (path: string) => raw(port, `GET ${path} HTTP/1.0\r\n\r\n`);

  async function toHandler(request: string): Promise<Received> {
    const connection = new RawConnection(port);
    connection.write(request);
    const received = await handler.request();
    connection.close();
    return received;
  }

  test("the page and what belongs to it come from html/, each with its type", async () => {
    assert.match(await get("/"), /Content-Type: text\/html[\s\S]*index\.html$/);
    assert.match(await get("/events.js"), /Content-Type: application\/x-javascript[\s\S]*events\.js$/);
    assert.match(await get("/e.css"), /Content-Type: text\/css/);
    assert.match(await get("/a.svg"), /Content-Type: image\/svg\+xml/);
    assert.match(await get("/LICENSE"), /Content-Type: text\/plain/);
  });

  test("the stream's path goes to the daemon with and without a query, whatever the Host", async () => {
    for (const [target, query] of [["/esupdates"], ["/esupdates?topic=a", "topic=a"], ["/esupdates?", ""]]) {
      const { path, text } = await toHandler(`GET ${target} HTTP/1.1\r\nHost: push.example:80\r\n\r\n`);
      assert.equal(path, "/esupdates");
      assert.equal(text.includes("5:QUERY,"), query !== undefined);
    }
  });

  test("the paths around the stream's are not found", async () => {
    for (const path of ["/e", "/es", "/esupdat", "/esupdatesX", "/esupdates/", "/esupdates/../x"]) {
      assert.match(await get(path), /^HTTP\/1\.1 404 /, path);
    }
  });

  test("the hub's path goes to the daemon, and what is below it, and where its metadata are", async () => {
    for (const target of [
      "/.well-known/oauth-protected-resource/.well-known/mercure",
      "/.well-known/mercure",
      "/.well-known/mercure?topic=a",
      "/.well-known/mercure/subscriptions/a/b",
    ]) {
      const { path } = await toHandler(`GET ${target} HTTP/1.1\r\n\r\n`);
      assert.equal(path, target.replace(/\?.*/, ""));
    }
  });

  test("a request of 300,000 bytes arrives whole, in pieces too", async () => {
    const body = "x".repeat(300_000);
    const connection = new RawConnection(port);
    connection.write(`POST /.well-known/mercure HTTP/1.1\r\nContent-Length: ${body.length}\r\n\r\n`);
    for (let at = 0; at < body.length; at += 10_000) connection.write(body.slice(at, at + 10_000));
    const { text } = await handler.request();
    assert.ok(text.endsWith(`300000:${body},`));
    connection.close();
  });

  test("a request above the limit, or without a length, ends its own connection, and its body reaches nobody", async () => {
    const head = "POST /.well-known/mercure HTTP/1.1\r\n";
    const tooLarge = `${head}Content-Length: 400000\r\n\r\n${"x".repeat(400_000)}`;
    const chunked = `${head}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n`;
    for (const request of [tooLarge, chunked, tooLarge]) {
      const connection = new RawConnection(port);
      connection.write(request);
      await connection.over();
      assert.equal(connection.text, "");
    }
    assert.equal((await toHandler("GET /esupdates HTTP/1.1\r\n\r\n")).path, "/esupdates");
  });
});
