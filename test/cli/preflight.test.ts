import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo, Server } from "node:net";
import { join } from "node:path";
import { describe, test } from "node:test";
import { checkAddresses, webAddress, whenAnswered } from "../../src/cli/preflight.js";
import { loadConfig } from "../../src/config/load-config.js";
import { onlyMongrel2 } from "../../src/mongrel2/mongrel2-process.js";
import { systemClock } from "../../src/util/clock.js";
import { freePort } from "../support/ports.js";
import { temporaryDirectory } from "../support/processes.js";

function confOf(text: string): string {
  const path = join(temporaryDirectory(), "mongrel2.conf");
  writeFileSync(path, text);
  return path;
}

async function listen(server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return (server.address() as AddressInfo).port;
}

function serverConfig(sendPort: number) {
  const toml = `[[mongrel2]]\nsend_spec = "tcp://127.0.0.1:${sendPort}"\nrecv_spec = "ipc://recv"\n`;
  const folder = temporaryDirectory();
  writeFileSync(join(folder, "m2push.toml"), toml);
  return loadConfig({ file: join(folder, "m2push.toml") }).config;
}

describe("webAddress", () => {
  test("reads port and address of the server, and no comments", () => {
    assert.deepEqual(webAddress(confOf("s = Server(bind_addr='127.0.0.1', port=8080)\n")), {
      host: "127.0.0.1",
      port: 8080,
      isLoopback: true,
    });
    assert.deepEqual(webAddress(confOf('# port=1\ns = Server(bind_addr="0.0.0.0")\n')), {
      host: "0.0.0.0",
      port: 6767,
      isLoopback: false,
    });
  });

  test("takes no Proxy to a backend for the server", () => {
    const routes = "h = Host(name='a', routes={'/api/': Proxy(addr='10.0.0.1',\n  port=3000)})\n";
    assert.equal(webAddress(confOf(`${routes}s = Server(bind_addr='127.0.0.1', port=8080, hosts=[h])\n`)).port, 8080);
  });
});

describe("checkAddresses", () => {
  test("accepts free ports and sockets that are no TCP", async () => {
    const conf = confOf(`s = Server(port=${await freePort()})\n`);
    checkAddresses(conf, [onlyMongrel2(conf)], serverConfig(await freePort()));
  });

  test("names every port in use, its process and the fix", async (t) => {
    const servers = [createServer(), createServer()];
    const [web = 0, send = 0] = await Promise.all(servers.map(listen));
    t.after(() => {
      for (const server of servers) server.close();
    });
    const conf = confOf(`s = Server(port=${web})\n`);
    assert.throws(
      () => checkAddresses(conf, [onlyMongrel2(conf)], serverConfig(send)),
      ({ code, message }) => {
        assert.equal(code, "link_failed");
        const [first = "", second = "", ...more] = message.split("\n");
        assert.match(
          first,
          new RegExp(`^port ${web} \\(Mongrel2's web server\\) is in use by .* \\(pid ${process.pid}\\); fix: `),
        );
        assert.match(second, new RegExp(`^port ${send} \\(send_spec\\) is in use by .*; fix: .* change send_spec in `));
        assert.deepEqual(more, []);
        return true;
      },
    );
  });

  test("names the file to change, not the one that was made of it", async (t) => {
    const server = createServer();
    const port = await listen(server);
    t.after(() => server.close());
    const made = onlyMongrel2(confOf(`s = Server(port=${port})\n`));
    const fix = /fix: stop it, or change port in config\/mongrel2\.conf and \[hub\] origin$/;
    const config = serverConfig(await freePort());
    assert.throws(() => checkAddresses("config/mongrel2.conf", [made], config), { code: "link_failed", message: fix });
  });
});

describe("whenAnswered", () => {
  test("asks until the daemon answers 204", async (t) => {
    const statuses = [502, 404, 204];
    const methods: (string | undefined)[] = [];
    const server = createServer((request, response) => {
      methods.push(request.method);
      response.writeHead(statuses[methods.length - 1] ?? 500).end();
    });
    const port = await listen(server);
    t.after(() => server.close());
    await new Promise<void>((resolve) => whenAnswered(systemClock, `http://127.0.0.1:${port}/`, resolve));
    assert.deepEqual(methods, ["OPTIONS", "OPTIONS", "OPTIONS"]);
  });

  test("asks again where nothing listens yet, and stops when it is cancelled", async () => {
    const port = await freePort();
    let cancel = () => {};
    await new Promise<void>((resolve) => {
      const after = () => {
        resolve();
        return () => {};
      };
      const clock = { ...systemClock, after };
      cancel = whenAnswered(clock, `http://127.0.0.1:${port}/`, () => assert.fail("nothing answers"));
    });
    cancel();
  });
});
