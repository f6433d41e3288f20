import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { checkWebhooks } from "../../../src/cli/doctor/check-webhooks.js";
import type { WebhookStatus } from "../../../src/client-events/webhooks.js";
import { load } from "../../config/harness.js";
import { freePort } from "../../support/ports.js";
import { WEBHOOK_SECRET, WebhookReceiver } from "../../support/webhook-receiver.js";

const configOf = (url: string, more = "") =>
  load(`[[webhook]]\nurl = "${url}"\nsecret = "${WEBHOOK_SECRET}"\n${more}`).config;
const status = (state: WebhookStatus["state"]): WebhookStatus => ({
  ...{ name: "main", state, sent: 0, failures: 1, pending: 7, oldestSeconds: 1, lost: 0 },
});

describe("checkWebhooks", () => {
  test("is ok where the receiver can be reached, and sends it nothing", async (t) => {
    const receiver = await WebhookReceiver.start();
    t.after(() => receiver.stop());
    const [finding, ...others] = await checkWebhooks(configOf(receiver.url), []);
    assert.deepEqual([finding?.level, others, receiver.events], ["ok", [], []]);
    assert.deepEqual(await checkWebhooks(load("").config, []), []);
  });

  test("fails where nothing listens, and names the webhook and not its path or secret", async () => {
    const url = `http://127.0.0.1:${await freePort()}/secret-path`;
    const [finding] = await checkWebhooks(configOf(url), []);
    assert.equal(finding?.level, "FAIL");
    assert.match(finding?.what ?? "", /^webhook "main": "127\.0\.0\.1" cannot be reached \(.*ECONNREFUSED/);
    assert.ok(!JSON.stringify(finding).includes("secret-path"));
  });

  test("warns of http to another machine, also to one whose name begins as a loopback address", async () => {
    const findings = await checkWebhooks(configOf("http://127.invalid/"), []);
    assert.deepEqual(
      findings.map(({ level }) => level),
      ["FAIL", "warn"],
    );
    assert.match(findings[1]?.what ?? "", /"127\.invalid" unencrypted$/);
  });

  test("tells what the running daemon sees, and of a second secret", async (t) => {
    const receiver = await WebhookReceiver.start();
    t.after(() => receiver.stop());
    const levels = async (state: WebhookStatus["state"], more = "") =>
      (await checkWebhooks(configOf(receiver.url, more), [status(state)])).map(({ level }) => level);
    assert.deepEqual(await levels("idle"), ["ok"]);
    assert.deepEqual(await levels("waiting"), ["warn"]);
    assert.deepEqual(await levels("disabled"), ["FAIL"]);
    assert.deepEqual(await levels("idle", `previous_secret = "${WEBHOOK_SECRET}"\n`), ["warn"]);
  });
});
