/** The two transports of `m2push publish`: a ZeroMQ DEALER socket to the daemon, and HTTP POST by the Mercure protocol. */
import { M2pushError } from "../errors.js";
import type { Draft } from "../protocol/publication.js";
import { decodeReply } from "../protocol/publish-reply.js";
import { backoff } from "../util/backoff.js";
import type { Clock } from "../util/clock.js";
import { formatDuration } from "../util/units.js";
import { NoReplyError, RequestSession } from "../zmq/request-session.js";
import { authorization, type HubResponse, send } from "./hub-request.js";

export interface PublishTransport {
  /** Events that may be under way at a time. */
  readonly maxUnderWay: number;
  /**
   * Publishes one event; calls keep their order. Resolves with the acknowledged id. An event with a key is sent again, until the timeout,
   * when a connection or a response was lost: the daemon publishes it once.
   */
  publish(draft: Draft): Promise<string>;
  close(): Promise<void>;
}

const MS_PER_SECOND = 1000;
/** Events that are sent while earlier ones are not acknowledged yet. */
const MAX_UNDER_WAY_COUNT = 100;

/** Connects to the daemon's address for publishers. Rejects with "link_failed" when the address is invalid. */
export async function zmqPublishTransport(spec: string, timeoutMs: number, clock: Clock): Promise<PublishTransport> {
  const session = new RequestSession(spec, clock, { connected() {}, ended() {}, replied() {} });
  await session.start();
  return {
    maxUnderWay: MAX_UNDER_WAY_COUNT,
    async publish(draft) {
      const [id = ""] = await request({ session, spec, timeoutMs, clock }, draft);
      return id;
    },
    close: () => session.close(),
  };
}

interface ZmqTarget {
  readonly session: RequestSession;
  readonly spec: string;
  readonly timeoutMs: number;
  readonly clock: Clock;
}

async function request({ session, spec, timeoutMs, clock }: ZmqTarget, draft: Draft): Promise<readonly string[]> {
  const parts = messageOf(draft);
  const deadline = clock.monotonic() + timeoutMs;
  for (;;) {
    try {
      return decodeReply((await session.request(parts, Math.max(0, Math.ceil(deadline - clock.monotonic())))).answer);
    } catch (error) {
      if (!(error instanceof NoReplyError)) throw rejected(spec, error);
      if (draft.key !== undefined && error.isSent && clock.monotonic() < deadline) continue;
      const what = error.isSent ? unacknowledged(spec, error.why) : unreachable(spec, timeoutMs, error.why);
      throw new M2pushError("link_failed", what);
    }
  }
}

function rejected(spec: string, error: unknown): unknown {
  if (!(error instanceof M2pushError)) return error;
  const { code, message, retryAfterMs } = error;
  const retry = retryAfterMs === undefined ? "" : `; retry after ${retryAfterMs / MS_PER_SECOND} s`;
  return new M2pushError("link_failed", `the daemon at ${spec} rejected the event (${code}): ${message}${retry}`, {
    cause: error,
  });
}

const unacknowledged = (spec: string, why: string): string =>
  `the daemon at ${spec} has not acknowledged the event: ${why}; it may be published or not; fix: check the log of the daemon, then repeat it`;

function unreachable(spec: string, timeoutMs: number, why: string): string {
  const fix = "start `m2push serve`, and give its [publish] zmq address";
  return `the daemon at ${spec} did not answer within ${timeoutMs / MS_PER_SECOND} s: ${why}; fix: ${fix}`;
}

/** [topic, data, json]; an event with several topics is one JSON part. */
function messageOf({ topics, data, id, type, retry, key, ttlMs, final, private: isPrivate }: Draft): Buffer[] {
  const ttl = ttlMs === undefined ? undefined : formatDuration(ttlMs);
  const fields = { id, type, retry, key, ttl, final, ...(isPrivate && { private: true }) };
  if (topics.length > 1) return [Buffer.from(JSON.stringify({ topics, data, ...fields }))];
  return [Buffer.from(topics[0]), Buffer.from(data), Buffer.from(JSON.stringify(fields))];
}

interface HttpTarget {
  readonly url: URL;
  /** Absent = no token is sent. */
  readonly token: string | undefined;
  readonly timeoutMs: number;
  readonly clock: Clock;
}

/** One request for an event with a key: a request that a killed daemon took is never answered, and is closed after 15 s at the latest. */
const ATTEMPT_TIMEOUT_MS = 3000;
/** Between two requests for one event. */
const FIRST_REPEAT_DELAY_MS = 100;
const MAX_REPEAT_DELAY_MS = 1000;

/** Posts to the hub's URL. Publishing rejects with "link_failed" when the hub is unreachable or answers anything but 2xx. */
export function httpPublishTransport(target: HttpTarget): PublishTransport {
  return {
    maxUnderWay: 1,
    async publish(draft) {
      const { status, ok, text } = await (draft.key === undefined ? post : postUntilAnswered)(target, draft);
      if (ok) return text.trim();
      throw new M2pushError("link_failed", `${target.url.href} answered ${status}: ${text.slice(0, 1000)}`);
    },
    close: async () => undefined,
  };
}

async function postUntilAnswered(target: HttpTarget, draft: Draft): Promise<HubResponse> {
  const { timeoutMs, clock } = target;
  const deadline = clock.monotonic() + timeoutMs;
  const delays = backoff(FIRST_REPEAT_DELAY_MS, MAX_REPEAT_DELAY_MS);
  for (;;) {
    const leftMs = Math.max(1, Math.ceil(deadline - clock.monotonic()));
    try {
      return await post({ ...target, timeoutMs: Math.min(ATTEMPT_TIMEOUT_MS, leftMs) }, draft);
    } catch (error) {
      const delayMs = delays.next();
      if (clock.monotonic() + delayMs >= deadline) throw error;
      await new Promise<void>((resolve) => clock.after(delayMs, resolve));
    }
  }
}

/** The fields of docs/architecture/mercure.md A5, and our own. */
function formOf({ topics, data, id, type, retry, ttlMs, final, private: isPrivate }: Draft): URLSearchParams {
  const form = new URLSearchParams(topics.map((topic): [string, string] => ["topic", topic]));
  form.append("data", data);
  if (id !== undefined) form.append("id", id);
  if (type !== undefined) form.append("type", type);
  if (retry !== undefined) form.append("retry", String(retry));
  if (isPrivate) form.append("private", "on");
  if (ttlMs !== undefined) form.append("ttl", formatDuration(ttlMs));
  if (final) form.append("final", "on");
  return form;
}

/** The key as a String of Structured Fields (RFC 9651). */
const keyHeader = (key: string): string => `"${key.replace(/["\\]/g, "\\$&")}"`;

function post({ url, token, timeoutMs }: HttpTarget, draft: Draft): Promise<HubResponse> {
  const headers = {
    ...authorization(token),
    ...(draft.key !== undefined && { "idempotency-key": keyHeader(draft.key) }),
  };
  return send(url, { method: "POST", headers, body: formOf(draft) }, timeoutMs);
}
