/** The address of visitors behind real proxies, with the configurations of config/proxies. All of them are on this machine: their addresses differ. */
import assert from "node:assert/strict";
import { connect as connectHttp2 } from "node:http2";
import { connect as connectTcp, type NetConnectOpts } from "node:net";
import { after, before, describe, test } from "node:test";
import { connect as connectTls } from "node:tls";
import type { Pair } from "../support/pair.js";
import { startPair } from "../support/pair.js";
import { type ProxyName, ReverseProxy } from "../support/proxies.js";

const VISITOR = "127.0.0.7";
const CLAIM = "10.9.8.7";
const PATH = "/esupdates";
const XFF = "X-Forwarded-For";

const afters: (() => unknown)[] = [];
const scope = { after: (run: () => unknown) => void afters.push(run) };

/** Each test's client has a topic of its own, by which the log names it. */
let clients = 0;

/** A connection from an address of this machine. */
function tls(port: number, protocol: "http/1.1" | "h2", localAddress = VISITOR) {
  const address: NetConnectOpts = { host: "127.0.0.1", port, localAddress };
  return connectTls({ ...address, servername: "localhost", rejectUnauthorized: false, ALPNProtocols: [protocol] });
}

/** Sends raw header lines to Mongrel2 itself or over TLS to a proxy; resolves with the `remote` of the stream's log line. */
async function remoteOf(
  pair: Pair,
  port: number,
  lines: readonly string[],
  isTls = true,
  from = VISITOR,
): Promise<unknown> {
  const topic = `client-${++clients}`;
  const head = [`GET /.well-known/mercure?topic=${topic} HTTP/1.1`, "Host: localhost", ...lines].join("\r\n");
  const socket = isTls ? tls(port, "http/1.1", from) : connectTcp({ host: "127.0.0.1", port, localAddress: from });
  socket.on("error", () => {});
  socket.write(`${head}\r\n\r\n`);
  const line = await pair.daemon.logged(({ topics }) => Array.isArray(topics) && topics[0] === topic, topic);
  socket.destroy();
  return line.remote;
}

const repeated = (line: string) => Array.from({ length: 5 }, () => line);

const SPOOFS: readonly (readonly string[])[] = [
  [],
  [`${XFF}: ${CLAIM}`],
  [`${XFF}: ${CLAIM}, 127.0.0.1`],
  [`X-Real-IP: ${CLAIM}`],
  [`Forwarded: for=${CLAIM}`],
  [`Forwarded: for=${CLAIM};x="`],
  repeated(`${XFF}: ${CLAIM}`),
  repeated(`Forwarded: for=${CLAIM}`),
  [...repeated(`${XFF}: ${CLAIM}`), ...repeated(`X-Real-IP: ${CLAIM}`)],
];

describe("Visitors behind proxies", () => {
  let pair: Pair;
  before(async () => {
    pair = await startPair(scope, {
      settings: { no_clobber_xff: 1 },
      config: { stream: { trusted_proxies: ["127.0.0.1"] } },
    });
  });
  after(async () => {
    for (const run of afters.reverse()) await run();
  });

  for (const name of ["nginx", "haproxy", "caddy"] satisfies ProxyName[]) {
    test(`${name} names its visitors, whatever they send`, async (t) => {
      const proxy = await ReverseProxy.before(pair.mongrel2, name);
      t.after(() => proxy.stop());
      for (const lines of SPOOFS) assert.equal(await remoteOf(pair, proxy.port, lines), VISITOR, lines.join("; "));
    });

    test(`${name} carries streams over HTTP/2, and passes events on at once`, async (t) => {
      const proxy = await ReverseProxy.before(pair.mongrel2, name);
      t.after(() => proxy.stop());
      const session = connectHttp2(`https://localhost:${proxy.port}`, {
        createConnection: () => tls(proxy.port, "h2"),
      });
      t.after(() => session.destroy());
      const stream = session.request({ ":path": PATH, "x-forwarded-for": CLAIM });
      let text = "";
      const received = new Promise<void>((resolve) =>
        stream.on("data", (bytes: Buffer) => {
          text += bytes.toString();
          if (text.includes("data: over h2")) resolve();
        }),
      );
      await new Promise((resolve) => stream.once("data", resolve));
      await pair.publisher.send(["news", "over h2"]);
      await received;
    });
  }

  test("a proxy that adds its line behind five of the client's is not believed", async (t) => {
    const edit = (text: string) =>
      text
        .replace("http-request set-header X-Forwarded-For %[src]", "option forwardfor")
        .replace(/.*del-header.*\n/g, "");
    const proxy = await ReverseProxy.before(pair.mongrel2, "haproxy", edit);
    t.after(() => proxy.stop());
    assert.equal(await remoteOf(pair, proxy.port, [`${XFF}: ${CLAIM}`]), VISITOR);
    assert.equal(await remoteOf(pair, proxy.port, repeated(`${XFF}: ${CLAIM}`).slice(1)), "unknown");
    assert.equal(await remoteOf(pair, proxy.port, repeated(`${XFF}: ${CLAIM}`)), "unknown");
    assert.equal(await remoteOf(pair, proxy.port, [`X-Real-IP: ${CLAIM}`]), "unknown");
  });

  test("without a proxy the peer is the visitor", async () => {
    assert.equal(await remoteOf(pair, pair.mongrel2.port, [`${XFF}: ${CLAIM}`], false), VISITOR);
    assert.equal(await remoteOf(pair, pair.mongrel2.port, [`${XFF}: ${CLAIM}`], false, "127.0.0.1"), CLAIM);
  });

  test("where Mongrel2 replaces X-Forwarded-For, X-Real-IP names the visitor", async (t) => {
    const replacing = await startPair(t, { config: { stream: { trusted_proxies: ["127.0.0.1"] } } });
    assert.equal(
      await remoteOf(replacing, replacing.mongrel2.port, [`${XFF}: ${CLAIM}`], false, "127.0.0.1"),
      "127.0.0.1",
    );
    assert.equal(
      await remoteOf(replacing, replacing.mongrel2.port, [`X-Real-IP: ${CLAIM}`], false, "127.0.0.1"),
      CLAIM,
    );
  });
});
