import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { describe, type TestContext, test } from "node:test";
import { post } from "../../src/client-events/post.js";

async function serve(t: TestContext, listener: RequestListener): Promise<string> {
  const server = createServer(listener).listen(0, "127.0.0.1");
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  await once(server, "listening");
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`;
}

const send = (url: string, signal = new AbortController().signal) =>
  post({ url, headers: { "webhook-id": "1" }, body: "{}", signal });

describe("POST of a webhook", () => {
  test("2xx is taken, 410 is gone, anything else has failed", async (t) => {
    let status = 204;
    const url = await serve(t, (_, response) => response.writeHead(status, { "Retry-After": "7" }).end());
    assert.deepEqual(await send(url), { outcome: "taken" });
    status = 410;
    assert.deepEqual(await send(url), { outcome: "gone" });
    status = 503;
    assert.deepEqual(await send(url), { outcome: "failed", reason: "status 503", retryAfter: "7" });
  });

  test("a redirect is not followed", async (t) => {
    const paths: (string | undefined)[] = [];
    const url = await serve(t, (request, response) => {
      paths.push(request.url);
      response.writeHead(302, { Location: "/elsewhere" }).end();
    });
    const result = await send(url);
    assert.deepEqual([result.outcome, paths], ["failed", ["/hook"]]);
  });

  test("a response without end is read up to its bound, and its status counts", async (t) => {
    let written = 0;
    const url = await serve(t, (_, response) => {
      response.writeHead(200);
      const more = () => {
        while (!response.destroyed && response.write("x".repeat(10_000))) written++;
      };
      response.on("drain", more);
      more();
    });
    assert.deepEqual(await send(url), { outcome: "taken" });
    assert.ok(written < 1000);
  });

  test("without a response it ends with its signal, and says why", async (t) => {
    const url = await serve(t, () => {});
    const abort = new AbortController();
    const result = send(url, abort.signal);
    abort.abort(new Error("no response within 15 s"));
    assert.deepEqual(await result, { outcome: "failed", reason: "no response within 15 s" });
    const refused = await send("http://127.0.0.1:1/");
    assert.equal(refused.outcome, "failed");
    assert.match(JSON.stringify(refused), /ECONNREFUSED|bad port/);
  });
});
