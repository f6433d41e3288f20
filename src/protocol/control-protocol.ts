/**
 * Codec of Mongrel2's control port, a ZeroMQ REP socket: a request holds a command and its arguments, the reply a table or an
 * error, all as tnetstrings (control.rl of Mongrel2). Commands: help, info, uuid, time, status (what=net|tasks), kill (id),
 * reload, stop, terminate, control_stop.
 */
import { ProtocolError } from "../errors.js";
import { decode, encode, type TnetValue } from "./tnetstring.js";

export type ControlValue = string | number | boolean | null;

export type ControlReply =
  | { readonly kind: "table"; readonly headers: string[]; readonly rows: Map<string, ControlValue>[] }
  /** `code` is absent if Mongrel2 sends a text only, as for an unknown `what`. */
  | { readonly kind: "error"; readonly code?: string; readonly message: string };

export function encodeCommand(command: string, args: Readonly<Record<string, string | number>>): Buffer {
  return encode([command, new Map(Object.entries(args))]);
}

/**
 * Throws "invalid" if the reply is neither a table nor an error, and the errors of tnetstring.decode(). A row of `status net`
 * has about 45 bytes, so the limits of tnetstring allow 100,000 rows.
 */
export function decodeControlReply(buffer: Buffer): ControlReply {
  const reply = decode(buffer);
  if (!(reply instanceof Map)) throw invalid("it is no dictionary");
  const message = reply.get("error");
  if (message !== undefined)
    return { kind: "error", ...errorCode(reply.get("code")), message: string(message, "error") };
  const headers = list(reply.get("headers"), "headers").map((it) => string(it, "a header"));
  const rows = list(reply.get("rows"), "rows").map((row) => readRow(headers, list(row, "a row")));
  return { kind: "table", headers, rows };
}

function errorCode(code: TnetValue | undefined): { code?: string } {
  return code === undefined ? {} : { code: string(code, "code") };
}

function readRow(headers: readonly string[], cells: readonly TnetValue[]): Map<string, ControlValue> {
  if (cells.length !== headers.length) throw invalid(`a row of ${cells.length} under ${headers.length} headers`);
  return new Map(headers.map((header, column) => [header, readCell(cells[column])]));
}

function readCell(cell: TnetValue | undefined): ControlValue {
  if (Buffer.isBuffer(cell)) return cell.toString();
  if (typeof cell === "object" || cell === undefined) {
    if (cell === null) return null;
    throw invalid("a cell that is no single value");
  }
  return cell;
}

/** One connection in the reply to `status net`, of any handler. */
export interface NetRow {
  /** Connection id; -1 = the connection has sent no request to a handler. */
  readonly id: number;
  readonly fd: number;
  /** 0 = nothing parsed yet, 1 = HTTP, 2 = JSON or XML socket, 3 = WebSocket or policy file. */
  readonly type: number;
  /** Age in seconds; 0 = now or never. Mongrel2's clock advances in steps of limits.tick_timer, 10 s by default. */
  readonly lastPing: number;
  readonly lastRead: number;
  readonly lastWrite: number;
  /** Since the connection opened. */
  readonly bytesRead: number;
  readonly bytesWritten: number;
}

/** Throws "invalid" for an error, and for a table of another command. */
export function netRows(reply: ControlReply): NetRow[] {
  if (reply.kind === "error") throw invalid(`an error instead of a table: ${reply.code ?? ""} ${reply.message}`);
  return reply.rows.map((row) => ({
    id: integerCell(row, "id"),
    fd: integerCell(row, "fd"),
    type: integerCell(row, "type"),
    lastPing: integerCell(row, "last_ping"),
    lastRead: integerCell(row, "last_read"),
    lastWrite: integerCell(row, "last_write"),
    bytesRead: integerCell(row, "bytes_read"),
    bytesWritten: integerCell(row, "bytes_written"),
  }));
}

function integerCell(row: ReadonlyMap<string, ControlValue>, column: string): number {
  const cell = row.get(column);
  if (typeof cell !== "number" || !Number.isInteger(cell)) throw invalid(`no whole number in column ${column}`);
  return cell;
}

function list(value: TnetValue | undefined, what: string): readonly TnetValue[] {
  if (!Array.isArray(value)) throw invalid(`${what} is no list`);
  return value;
}

function string(value: TnetValue, what: string): string {
  if (!Buffer.isBuffer(value)) throw invalid(`${what} is no string`);
  return value.toString();
}

function invalid(what: string): ProtocolError {
  return new ProtocolError("invalid", `not an answer of the control port: ${what}`);
}
