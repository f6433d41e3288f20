import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { ProtocolError } from "../../src/errors.js";
import {
  type ControlValue,
  decodeControlReply,
  encodeCommand,
  type NetRow,
  netRows,
} from "../../src/protocol/control-protocol.js";
import { decode, encode, type TnetValue } from "../../src/protocol/tnetstring.js";
import { anyText, damaged } from "../support/arbitraries.js";

const read = (text: string) => decodeControlReply(Buffer.from(text));
const broken = (error: unknown) => error instanceof ProtocolError && error.code === "invalid";

/** Answers of a real Mongrel2 1.12.2: two open requests and one connection that has sent nothing yet. */
const NET =
  "226:7:headers,86:2:id,2:fd,4:type,9:last_ping,9:last_read,10:last_write,10:bytes_read,13:bytes_written,]4:rows," +
  "114:34:1:1#2:23#1:1#1:0#1:0#1:0#2:36#1:0#]34:1:2#2:24#1:1#1:0#1:0#1:0#2:36#1:0#]" +
  "34:2:-1#2:25#1:0#1:0#1:0#1:0#1:0#1:0#]]}";
const UUID = "74:7:headers,7:4:uuid,]4:rows,43:39:35:2f62bd5-9e59-49cd-993c-3b6013c28f05,]]}";
/** Shortened to two of its rows. */
const TASKS =
  "145:7:headers,38:2:id,6:system,4:name,5:state,6:status,]4:rows,82:38:1:1#5:false!6:SERVER,7:read fd,4:idle,]" +
  "36:1:4#4:true!6:fdtask,5:yield,5:ready,]]}";
const KILLED = "40:7:headers,9:6:status,]4:rows,8:5:2:OK,]]}";
const NOT_FOUND = "74:4:code,18:CALLBACK_NOT_FOUND,5:error,33:Callback requested was not found.,}";
const BAD_WHAT = "51:5:error,39:Expected argument what=['net'|'tasks'].,}";

describe("Control protocol", () => {
  test("encodes commands as Mongrel2 accepts them", () => {
    assert.equal(encodeCommand("status", { what: "net" }).toString(), "26:6:status,13:4:what,3:net,}]");
    assert.equal(encodeCommand("kill", { id: 7 }).toString(), "19:4:kill,9:2:id,1:7#}]");
    assert.equal(encodeCommand("info", {}).toString(), "10:4:info,0:}]");
  });

  test("decodes the command and arguments that it encodes", () => {
    const args = fc.dictionary(anyText, fc.oneof(anyText, fc.maxSafeInteger()));
    fc.assert(
      fc.property(anyText, args, (command, given) => {
        const values = Object.entries(given).map(
          ([key, it]) => [key, typeof it === "string" ? Buffer.from(it) : it + 0] as const,
        );
        assert.deepEqual(decode(encodeCommand(command, given)), [Buffer.from(command), new Map(values)]);
      }),
    );
  });

  test("the connections of a real Mongrel2 are read", () => {
    const row = { type: 1, lastPing: 0, lastRead: 0, lastWrite: 0, bytesRead: 36, bytesWritten: 0 };
    const rows: NetRow[] = [
      { ...row, id: 1, fd: 23 },
      { ...row, id: 2, fd: 24 },
      { ...row, id: -1, fd: 25, type: 0, bytesRead: 0 },
    ];
    assert.deepEqual(netRows(read(NET)), rows);
  });

  test("other tables of a real Mongrel2 are read", () => {
    const uuid = new Map([["uuid", "2f62bd5-9e59-49cd-993c-3b6013c28f05"]]);
    assert.deepEqual(read(UUID), { kind: "table", headers: ["uuid"], rows: [uuid] });
    assert.deepEqual(read(KILLED), { kind: "table", headers: ["status"], rows: [new Map([["status", "OK"]])] });
    const tasks = read(TASKS);
    assert.equal(tasks.kind, "table");
    assert.deepEqual(tasks.kind === "table" && tasks.rows.map((row) => row.get("system")), [false, true]);
  });

  test("errors of a real Mongrel2 are read, with and without a code", () => {
    const message = "Callback requested was not found.";
    assert.deepEqual(read(NOT_FOUND), { kind: "error", code: "CALLBACK_NOT_FOUND", message });
    assert.deepEqual(read(BAD_WHAT), { kind: "error", message: "Expected argument what=['net'|'tasks']." });
  });

  test("decodes any table that was encoded", () => {
    const cell = fc.oneof(anyText, fc.maxSafeInteger(), fc.boolean(), fc.constant(null));
    const table = fc.uniqueArray(anyText, { minLength: 1, maxLength: 6 }).chain((headers) => {
      const row = fc.tuple(...headers.map(() => cell));
      return fc.tuple(fc.constant(headers), fc.array(row));
    });
    fc.assert(
      fc.property(table, ([headers, cells]) => {
        const bytes = encode(
          new Map<string, TnetValue>([
            ["headers", headers],
            ["rows", cells],
          ]),
        );
        const rows = cells.map(
          (row) => new Map<string, ControlValue>(headers.map((header, column) => [header, row[column] ?? null])),
        );
        assert.deepEqual(decodeControlReply(bytes), { kind: "table", headers, rows });
      }),
    );
  });

  test("decodes a damaged reply to a value or throws a ProtocolError", () => {
    const anyDamaged = fc.constantFrom(NET, UUID, TASKS, NOT_FOUND).chain((text) => damaged(Buffer.from(text)));
    fc.assert(
      fc.property(anyDamaged, (input) => {
        try {
          netRows(decodeControlReply(input));
        } catch (error) {
          if (!(error instanceof ProtocolError)) throw error;
        }
      }),
      { numRuns: 800 },
    );
    for (let cut = 0; cut < NET.length; cut++) assert.throws(() => read(NET.slice(0, cut)), ProtocolError);
  });

  test("rejects replies that are neither a table nor an error", () => {
    const rows = (...values: TnetValue[]) =>
      new Map<string, TnetValue>([
        ["headers", ["a"]],
        ["rows", values],
      ]);
    const answers: TnetValue[] = [
      null,
      "text",
      [],
      new Map(),
      new Map([["headers", []]]),
      new Map([["rows", []]]),
      new Map([["error", 7]]),
      new Map<string, TnetValue>([
        ["error", "x"],
        ["code", null],
      ]),
      new Map<string, TnetValue>([
        ["headers", [1]],
        ["rows", []],
      ]),
      rows(7),
      rows([]),
      rows([1, 2]),
      rows([[1]]),
      rows([new Map()]),
    ];
    for (const answer of answers) assert.throws(() => decodeControlReply(encode(answer)), broken);
  });

  test("rows are those of status net, or there are none", () => {
    assert.throws(() => netRows(read(NOT_FOUND)), /CALLBACK_NOT_FOUND Callback requested was not found/);
    assert.throws(() => netRows(read(UUID)), broken);
    assert.throws(() => netRows(read(NET.replace("2:23#", "2:23,"))), broken);
    assert.throws(() => netRows(read(NET.replace("2:fd,", "2:fx,"))), /fd/);
  });
});
