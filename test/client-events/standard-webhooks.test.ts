import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { webhookHeaders } from "../../src/client-events/standard-webhooks.js";

/** The example of the reference implementations. */
const EXAMPLE = {
  id: "msg_p5jXN8AQM9LWM0D4loKWxJek",
  body: '{"test": 2432232314}',
  secrets: ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"],
  time: 1_614_265_330_999,
};
const SIGNATURE = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";

describe("Standard Webhooks", () => {
  test("signs as the reference implementations do", () => {
    assert.deepEqual(webhookHeaders(EXAMPLE), {
      "webhook-id": EXAMPLE.id,
      "webhook-timestamp": "1614265330",
      "webhook-signature": SIGNATURE,
    });
  });

  test("signs with both secrets while they change", () => {
    const secrets = ["whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", ...EXAMPLE.secrets];
    const { "webhook-signature": signatures = "" } = webhookHeaders({ ...EXAMPLE, secrets });
    const [first = "", second] = signatures.split(" ");
    assert.match(first, /^v1,[A-Za-z0-9+/]{43}=$/);
    assert.equal(second, SIGNATURE);
    assert.equal(webhookHeaders({ ...EXAMPLE, secrets: [...EXAMPLE.secrets, ""] })["webhook-signature"], SIGNATURE);
  });
});
