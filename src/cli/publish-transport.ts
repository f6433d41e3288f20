/** The two transports of `m2push publish`: ZeroMQ PUSH to the daemon, and HTTP POST by the Mercure protocol. */
import { M2pushError } from "../errors.js";
import type { Draft } from "../protocol/publication.js";
import type { Clock } from "../util/clock.js";
import { PushSocket } from "../zmq/push-socket.js";

export interface PublishTransport {
  /** Publishes one event. Resolves with the acknowledged id, or undefined if the transport has no acknowledgement. */
  publish(draft: Draft): Promise<string | undefined>;
  /** Resolves when everything has been sent. Rejects when it may not have been. */
  close(): Promise<void>;
}

/** For the acknowledgement of one publication. */
const RESPONSE_TIMEOUT_MS = 30_000;

/** Connects to the daemon's PULL socket. Throws "link_failed" when the address cannot be connected to. */
export function zmqPublishTransport(spec: string, clock: Clock): PublishTransport {
  const socket = new PushSocket(spec, { clock });
  return {
    async publish(draft) {
      await socket.send(messageOf(draft));
      return undefined;
    },
    close: () => socket.close(),
  };
}

/** [topic, data, json]; an event with several topics is one JSON part. */
function messageOf({ topics, data, id, type, retry, private: isPrivate }: Draft): Buffer[] {
  const fields = { id, type, retry, ...(isPrivate && { private: true }) };
  if (topics.length > 1) return [Buffer.from(JSON.stringify({ topics, data, ...fields }))];
  return [Buffer.from(topics[0]), Buffer.from(data), Buffer.from(JSON.stringify(fields))];
}

/** Posts to the hub's URL. Publishing rejects with "link_failed" when the hub is unreachable or answers anything but 2xx. */
export function httpPublishTransport(url: URL, token: string | undefined): PublishTransport {
  const authorization: Record<string, string> = token === undefined ? {} : { authorization: `Bearer ${token}` };
  return {
    async publish(draft) {
      const { status, ok, text } = await post(url, authorization, formOf(draft));
      if (ok) return text.trim();
      throw new M2pushError("link_failed", `${url.href} answered ${status}: ${text.slice(0, 1000)}`);
    },
    close: async () => undefined,
  };
}

/** The fields of docs/architecture/mercure.md A5. */
function formOf({ topics, data, id, type, retry, private: isPrivate }: Draft): URLSearchParams {
  const form = new URLSearchParams(topics.map((topic): [string, string] => ["topic", topic]));
  form.append("data", data);
  if (id !== undefined) form.append("id", id);
  if (type !== undefined) form.append("type", type);
  if (retry !== undefined) form.append("retry", String(retry));
  if (isPrivate) form.append("private", "on");
  return form;
}

/** Redirects are not followed: they would turn the POST into a GET, and send the token to another address. */
async function post(url: URL, headers: Record<string, string>, body: URLSearchParams) {
  try {
    const signal = AbortSignal.timeout(RESPONSE_TIMEOUT_MS);
    const response = await fetch(url, { method: "POST", headers, body, redirect: "manual", signal });
    return { status: `${response.status} ${response.statusText}`, ok: response.ok, text: await response.text() };
  } catch (cause) {
    throw new M2pushError("link_failed", `cannot publish to ${url.href}: ${causes(cause)}`, { cause });
  }
}

/** fetch reports only "fetch failed"; its cause has the reason, and is a list without a message for several addresses. */
function causes(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const cause = error.cause instanceof AggregateError ? error.cause.errors[0] : error.cause;
  return cause === undefined ? error.message : causes(cause);
}
