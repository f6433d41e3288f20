/**
 * The two ways a publication leaves the command line: ZeroMQ PUSH to the daemon, or HTTP POST in the form of the Mercure
 * protocol.
 */
import { M2pushError } from "../errors.js";
import type { Draft } from "../protocol/publication.js";
import type { Clock } from "../util/clock.js";
import { PushSocket } from "../zmq/push-socket.js";

export interface PublishTransport {
  /** Publishes one event. Resolves with the id that was acknowledged; undefined where the door has no acknowledgement. */
  publish(draft: Draft): Promise<string | undefined>;
  /** Resolves when everything is out. Rejects when it may not be. */
  close(): Promise<void>;
}

/** How long a daemon may take to acknowledge a publication, milliseconds. */
const ANSWER_WITHIN = 30_000;

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

/** [topic, data, json]; an event with several topics has only the form of one JSON part. */
export function messageOf({ topics, data, id, type, retry, private: isPrivate }: Draft): Buffer[] {
  const fields = { id, type, retry, ...(isPrivate && { private: true }) };
  if (topics.length > 1) return [Buffer.from(JSON.stringify({ topics, data, ...fields }))];
  return [Buffer.from(topics[0]), Buffer.from(data), Buffer.from(JSON.stringify(fields))];
}

/** Posts to the hub's URL. Publishing rejects with "link_failed" when it is not reached or answers anything but 2xx. */
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

/** The fields of mercure.md A5. */
export function formOf({ topics, data, id, type, retry, private: isPrivate }: Draft): URLSearchParams {
  const form = new URLSearchParams(topics.map((topic): [string, string] => ["topic", topic]));
  form.append("data", data);
  if (id !== undefined) form.append("id", id);
  if (type !== undefined) form.append("type", type);
  if (retry !== undefined) form.append("retry", String(retry));
  if (isPrivate) form.append("private", "on");
  return form;
}

/** A redirection is not followed: it would turn the POST into a GET, and carry the token elsewhere. */
async function post(url: URL, headers: Record<string, string>, body: URLSearchParams) {
  try {
    const signal = AbortSignal.timeout(ANSWER_WITHIN);
    const response = await fetch(url, { method: "POST", headers, body, redirect: "manual", signal });
    return { status: `${response.status} ${response.statusText}`, ok: response.ok, text: await response.text() };
  } catch (cause) {
    throw new M2pushError("link_failed", `cannot publish to ${url.href}: ${causes(cause)}`, { cause });
  }
}

/** fetch says only "fetch failed"; why stands in the cause, which for several addresses is a list without a message. */
function causes(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const cause = error.cause instanceof AggregateError ? error.cause.errors[0] : error.cause;
  return cause === undefined ? error.message : causes(cause);
}
