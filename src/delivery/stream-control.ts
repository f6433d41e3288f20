/**
 * What a stream has whose topics can be changed while it is open (`?control=1`). It is stored with the client, and never changed in place.
 * Selectors are in the form of textOf() (matching/selector.ts).
 */
import { ProtocolError } from "../errors.js";
import type { History } from "./history.js";
import type { GapReason } from "./reasons.js";
import { planReplay, type ReplayRequest } from "./replay.js";
import type { SelectionRequest } from "./selection.js";

export interface StreamControl {
  /** 128 random bits, base64url. Knowing it is the permission to change a stream that has no owner: it is never logged whole. */
  readonly name: string;
  /** Names the principal that opened the stream, and alone may change it; absent = it was opened without a token. */
  readonly owner?: string | undefined;
  /** The dialect of Mercure in which its topics were requested, and are changed. Opaque to delivery. */
  readonly dialect: "0.x" | "draft-08";
  /** The offset after which the stream has got everything for its first topics; absent = 0. */
  readonly start?: number | undefined;
  /** The same for topics that were added later, by selector. */
  readonly since?: Readonly<Record<string, number>> | undefined;
  /** What Mongrel2 has not taken yet; absent = nothing is due. */
  readonly pending?: Transition | undefined;
}

/** What a client whose topics have changed is sent before it goes on. */
export interface Transition {
  /** The data of the m2push-topics event, which comes last. */
  readonly notice: string;
  /** Earlier publications of added topics, in this order; absent = none. */
  readonly added?: readonly AddedReplay[] | undefined;
}

/** What a flush sends a client of its transition. */
export interface TransitionStep {
  readonly before: Transition;
  /** Undefined = the client goes on. */
  readonly after: Transition | undefined;
}

/** The publications that added topics had before the change, without those that the client has received through other topics. */
export interface AddedReplay {
  readonly selectors: readonly string[];
  /** The selectors that the stream had, and the offset after which each counts. */
  readonly former: readonly (readonly [selector: string, since: number])[];
  /** Everything up to this offset was sent before, or is not asked for. */
  readonly after: number;
  /** Only these publications; absent = all. */
  readonly request?: SelectionRequest | undefined;
  /** Why publications cannot be sent, to be reported first. */
  readonly gap?: GapReason | undefined;
}

/** A request for earlier publications of added topics. */
interface AddedRequest extends Pick<AddedReplay, "after" | "request" | "gap"> {
  /** The selectors that the request adds, whether the stream has them or not. */
  readonly selectors: readonly string[];
}

/** A request for earlier publications of added topics, before the position of the change is known. */
export interface AddedReplayRequest {
  /** The selectors that the request adds, whether the stream has them or not. */
  readonly selectors: readonly string[];
  readonly from: ReplayRequest | SelectionRequest;
}

/** The same at the position of the change. */
export function addedRequest(history: History, { selectors, from }: AddedReplayRequest, offset: number): AddedRequest {
  if ("kind" in from) return { selectors, after: 0, request: from };
  const { cursor, gap } = planReplay(history, from, offset);
  return { selectors, after: Math.min(cursor, offset), ...(gap && { gap }) };
}

/** Replays of one stream that wait: further requests for one are rejected. */
const MAX_PENDING_REPLAY_COUNT = 8;
/** When another one may be requested. */
const RETRY_MS = 1000;

/** A change of the topics of a stream. */
export interface ControlChange {
  /** The selectors that it had, and has from now on. */
  readonly former: readonly string[];
  readonly selectors: readonly string[];
  readonly notice: string;
  /** What it had asked for at its opening, and was not sent yet. */
  readonly unsent: AddedReplay | undefined;
  readonly request: AddedRequest | undefined;
}

/** The control of a stream after a change at an offset. Throws "unavailable" if too many replays wait. */
export function changedControl(
  control: StreamControl,
  offset: number,
  { former, selectors, notice, unsent, request }: ControlChange,
): StreamControl {
  const { start = 0, since: sinceBefore, pending } = control;
  const had = new Map(former.map((text) => [text, sinceBefore?.[text] ?? start]));
  const isEarlier = (text: string) => (had.get(text) ?? Number.POSITIVE_INFINITY) > (request?.after ?? offset);
  const replayed = request?.selectors.filter((text) => selectors.includes(text) && isEarlier(text)) ?? [];
  const waiting = [...(pending?.added ?? []), ...(unsent ? [unsent] : [])];
  const added = remaining(waiting, new Set(selectors));
  if (added.length > MAX_PENDING_REPLAY_COUNT) throw tooManyReplays();
  if (request && replayed.length > 0) added.push({ ...request, selectors: replayed, former: [...had] });
  // A selection of publications does not make a topic complete from there on.
  const complete = request && !request.request ? new Set(replayed) : NONE;
  const sinceOf = (text: string) => (complete.has(text) ? (request?.after ?? offset) : (had.get(text) ?? offset));
  const since = Object.fromEntries(
    selectors.map((text) => [text, sinceOf(text)] as const).filter(([, it]) => it !== start),
  );
  return { ...control, since, pending: { notice, ...(added.length > 0 && { added }) } };
}

const NONE: ReadonlySet<string> = new Set();
const tooManyReplays = () =>
  new ProtocolError(
    "unavailable",
    `${MAX_PENDING_REPLAY_COUNT} replays of this stream wait already; fix: try again later`,
    {
      retryAfterMs: RETRY_MS,
    },
  );

/** Replays that wait, without the selectors that the stream has no more. */
function remaining(added: readonly AddedReplay[], has: ReadonlySet<string>): AddedReplay[] {
  return added
    .map((it) => ({ ...it, selectors: it.selectors.filter((text) => has.has(text)) }))
    .filter(({ selectors }) => selectors.length > 0);
}
