import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { describe, test } from "node:test";
import { JwksSource, type KeptJwks } from "../../../src/http/auth/jwks-source.js";
import { FakeClock } from "../../support/clock.js";

describe("JwksSource", () => {
  test("damaged kept keys are reported, and so is each time from which on keys cannot be kept", async () => {
    const key = generateKeyPairSync("ed25519").publicKey.export({ format: "jwk" });
    const fetch = async () => ({ text: JSON.stringify({ keys: [{ ...key, kid: "a" }] }), maxAgeMs: undefined });
    const clock = new FakeClock();
    const warnings: string[] = [];
    let isFull = true;
    const kept: KeptJwks = {
      read: () => ({ text: "damaged", readAt: clock.now() }),
      write() {
        if (isFull) throw new Error("ENOSPC");
      },
    };
    const warn = (warning: string) => warnings.push(warning.replace(/ \(.*/, ""));
    const options = { name: "a", url: "https://login.example/jwks", fetch, clock, kept, changed() {}, random: () => 0 };
    const source = new JwksSource({ ...options, warn });
    await source.start();
    const readAgain = async () => {
      clock.advance(30_000);
      await source.refresh();
    };
    await readAgain();
    assert.deepEqual(warnings, [
      "the kept keys of the issuer a cannot be used",
      "the keys of the issuer a cannot be kept",
    ]);
    isFull = false;
    await readAgain();
    isFull = true;
    await readAgain();
    assert.deepEqual(warnings.slice(2), ["the keys of the issuer a cannot be kept"]);
    source.close();
  });
});
