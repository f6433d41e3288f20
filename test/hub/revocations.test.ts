import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { MAX_REVOCATION_COUNT, type Revocation, Revocations } from "../../src/hub/revocations.js";
import { tokenId, tokenIdsOf } from "../../src/hub/token-id.js";
import { FakeClock } from "../support/clock.js";

const idOf = (number: number) => String(number).padStart(16, "0");

function open(recorded: readonly Revocation[] = []) {
  const clock = new FakeClock();
  const lines: Revocation[] = [];
  const told: Revocation[] = [];
  const warnings: string[] = [];
  let failure: Error | undefined;
  const revocations = new Revocations({
    ...{ clock, recorded },
    record: (list) => {
      if (failure) throw failure;
      lines.push(...list);
    },
    servers: () => [],
    end: () => {},
    tell: (list) => told.push(...list),
    warn: (warning) => warnings.push(warning),
  });
  const fail = (error: Error | undefined) => {
    failure = error;
  };
  return { clock, revocations, lines, told, warnings, fail };
}

const token = (claims: Record<string, unknown>, issuedAt?: number) => ({ tokenIds: tokenIdsOf(claims), issuedAt });

describe("Revocations", () => {
  test("a token is revoked by its jti, with its issuer or without", async () => {
    const { revocations, lines, told } = open();
    await revocations.revoke({ id: tokenId("jti", "1", "a") });
    assert.ok(revocations.isRevoked(token({ jti: "1", iss: "a" }, 5)));
    assert.ok(!revocations.isRevoked(token({ jti: "1", iss: "b" })));
    assert.ok(!revocations.isRevoked(token({ jti: "1" })));
    assert.ok(!revocations.isRevoked(token({ sub: "1", iss: "a" })));
    await revocations.revoke({ id: tokenId("jti", "1") });
    assert.ok(revocations.isRevoked(token({ jti: "1", iss: "b" })));
    assert.equal(lines.length, 2);
    assert.deepEqual(told, lines);
  });

  test("a holder's tokens are revoked up to a time: newer ones are valid, those without iat are not", async () => {
    const { revocations } = open();
    await revocations.revoke({ id: tokenId("sub", "kim"), issuedUntil: 1000 });
    assert.ok(revocations.isRevoked(token({ sub: "kim" }, 1000)));
    assert.ok(!revocations.isRevoked(token({ sub: "kim" }, 1001)));
    assert.ok(revocations.isRevoked(token({ sub: "kim" })));
    assert.ok(!revocations.isRevoked(token({})));
    assert.ok(!revocations.isRevoked(token({ sub: 7, jti: null })));
  });

  test("two revocations of one token count as both", () => {
    const { revocations } = open([
      { id: idOf(1), issuedUntil: 5, keepUntil: 9 },
      { id: idOf(1), issuedUntil: 7, keepUntil: 8 },
      { id: idOf(2), keepUntil: 9 },
      { id: idOf(2), issuedUntil: 7 },
    ]);
    assert.ok(revocations.isRevoked({ tokenIds: [idOf(1)], issuedAt: 7 }));
    assert.ok(!revocations.isRevoked({ tokenIds: [idOf(1)], issuedAt: 8 }));
    assert.ok(revocations.isRevoked({ tokenIds: [idOf(2)], issuedAt: 1e15 }));
  });

  test("is forgotten when its last token has expired, and not before", () => {
    const { clock, revocations } = open([{ id: idOf(1), keepUntil: Date.UTC(2020, 0, 1) + 1000 }, { id: idOf(2) }]);
    clock.advance(999);
    assert.equal(revocations.all().length, 2);
    clock.advance(1);
    assert.deepEqual(revocations.all(), [{ id: idOf(2) }]);
  });

  test("beyond the limit nothing is revoked, and none is forgotten", async () => {
    const { revocations, told } = open(Array.from({ length: MAX_REVOCATION_COUNT }, (_, at) => ({ id: idOf(at) })));
    await assert.rejects(revocations.revoke({ id: "b".repeat(16) }), /20000 tokens are revoked already; fix/);
    assert.deepEqual(told, []);
    assert.equal(await revocations.revoke({ id: idOf(0) }), 0);
    assert.equal(revocations.all().length, MAX_REVOCATION_COUNT);
  });

  test("one that cannot be recorded counts, and says that it will not last", async () => {
    const { revocations, fail, warnings, told } = open();
    fail(new Error("ENOSPC"));
    await assert.rejects(revocations.revoke({ id: idOf(1) }), /not recorded \(ENOSPC\).*fix/);
    assert.ok(revocations.isRevoked({ tokenIds: [idOf(1)], issuedAt: undefined }));
    assert.equal(told.length, 1);
    revocations.received([{ id: idOf(2) }]);
    assert.match(warnings[0] ?? "", /not recorded/);
  });

  test("those of other nodes are recorded once, and not told again", () => {
    const { revocations, lines, told } = open();
    for (let times = 0; times < 3; times++) revocations.received([{ id: idOf(1) }, { id: idOf(2), issuedUntil: 5 }]);
    assert.equal(lines.length, 2);
    assert.deepEqual(told, []);
  });
});
