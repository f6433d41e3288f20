/** Requests and responses of the admin address. */
import type { Writable } from "node:stream";
import type { Documented } from "../../api-docs/operation.js";

interface AdminRequest {
  /** The `{name}` segments of the route's path, decoded. */
  readonly params: Readonly<Record<string, string>>;
  readonly query: URLSearchParams;
  readonly lastEventId: string | undefined;
  /** Whether it would be authorized for the routes of operators. */
  readonly isOperator: boolean;
}

export interface AdminResponse {
  readonly status: number;
  /** Content-Type. */
  readonly type: string;
  /** Text; or a function that writes until either end closes. */
  readonly body: string | ((out: Writable) => void);
  readonly headers?: Readonly<Record<string, string>>;
}

/** Serves one method of one path. What it throws or rejects with becomes a 500 and goes to AdminServerOptions.failed. */
type AdminMethod = (request: AdminRequest) => AdminResponse | Promise<AdminResponse>;

/** By method; GET serves HEAD, too. */
export type AdminRoute = Readonly<Record<string, AdminMethod>>;

/** A route whose methods have their documentation. */
export type DocumentedAdminRoute = Readonly<Record<string, Documented<AdminMethod>>>;

export const textResponse = (status: number, body: string): AdminResponse => ({
  status,
  type: "text/plain; charset=utf-8",
  body: `${body}\n`,
});

export const json = (value: unknown): AdminResponse => ({
  status: 200,
  type: "application/json",
  body: `${JSON.stringify(value)}\n`,
});
