import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { ControlQueries } from "../../src/mongrel2/control-queries.js";
import { encode } from "../../src/protocol/tnetstring.js";

const HEADERS = ["id", "fd", "type", "last_ping", "last_read", "last_write", "bytes_read", "bytes_written"];

/** A control port that gives this answer, and what it was asked. */
function setUp(answer: Buffer) {
  const asked: string[] = [];
  const control = new ControlQueries({
    async request(question) {
      asked.push(question.toString());
      return answer;
    },
  });
  return { control, asked };
}

const table = (rows: readonly (readonly number[])[], headers: readonly string[] = HEADERS) =>
  encode(
    new Map<string, never>([
      ["headers", headers as never],
      ["rows", rows as never],
    ]),
  );

describe("ControlQueries", () => {
  test("the connections are asked for in Mongrel2's words, and come by their names", async () => {
    const { control, asked } = setUp(table([[17, 9, 1, 0, 60, 3, 214, 5000]]));
    assert.deepEqual(await control.connections(), [
      { id: 17, fd: 9, type: 1, lastPing: 0, lastRead: 60, lastWrite: 3, bytesRead: 214, bytesWritten: 5000 },
    ]);
    assert.deepEqual(asked, ["26:6:status,13:4:what,3:net,}]"]);
  });

  test("columns are found by name, in whatever order", async () => {
    const { control } = setUp(table([[1, 2, 3, 4, 5, 6, 7, 8]], [...HEADERS].reverse()));
    const [row] = await control.connections();
    assert.deepEqual([row?.id, row?.bytesWritten], [8, 1]);
  });

  test("a server without connections has none", async () => {
    assert.deepEqual(await setUp(table([])).control.connections(), []);
  });

  for (const [what, answer] of [
    ["an error of Mongrel2", encode(new Map([["error", "invalid argument"]]))],
    ["a table of another kind", table([[1]], ["id"])],
    ["nothing", Buffer.alloc(0)],
    ["bytes", Buffer.from("\0\xff\0")],
  ] as const) {
    test(`${what} is an error, not an empty server: nobody would be cancelled or adopted for it`, async () => {
      await assert.rejects(setUp(answer).control.connections(), { name: "ProtocolError" });
    });
  }
});
