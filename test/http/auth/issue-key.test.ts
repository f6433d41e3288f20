import assert from "node:assert/strict";
import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { decodeJwt, jwtVerify } from "jose";
import { issueKey } from "../../../src/http/auth/issue-key.js";
import { temporaryDirectory } from "../../support/processes.js";

describe("issueKey", () => {
  test("writes a key and a token that it verifies, readable by their owner only", async () => {
    const { keyFile, tokenFile } = await issueKey(join(temporaryDirectory(), "data"));
    for (const path of [keyFile, tokenFile]) assert.equal(statSync(path).mode & 0o777, 0o600);
    const [key, token] = [keyFile, tokenFile].map((path) => readFileSync(path, "utf8").trim()) as [string, string];
    const { payload } = await jwtVerify(token, new TextEncoder().encode(key));
    assert.deepEqual(payload, { mercure: { publish: ["*"], subscribe: ["*"] } });
  });

  test("keeps an existing key and writes the token again, with the issuer", async () => {
    const folder = temporaryDirectory();
    const before = readFileSync((await issueKey(folder)).keyFile, "utf8");
    const { keyFile, tokenFile } = await issueKey(folder, "https://issuer.example");
    assert.equal(readFileSync(keyFile, "utf8"), before);
    assert.equal(decodeJwt(readFileSync(tokenFile, "utf8").trim()).iss, "https://issuer.example");
  });
});
