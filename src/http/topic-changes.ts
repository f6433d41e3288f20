/**
 * Changes the topics of an open stream: parses what is added and removed, in the dialect of the stream, and checks the limits of a new stream
 * against the result. The stream keeps its grants: a token decides them when the stream opens.
 */

import type { TopicChange } from "../delivery/server-delivery.js";
import type { AddedReplayRequest } from "../delivery/stream-control.js";
import type { JsonValue, Subscribed, Subscriber } from "../delivery/subscriber.js";
import { ProtocolError } from "../errors.js";
import type { OpenStream } from "../hub/controlled-streams.js";
import type { Hub } from "../hub/hub.js";
import type { CompileWork } from "../matching/compile-work.js";
import { canonical, parseSelector, type Selector, textOf, wordsOf } from "../matching/selector.js";
import { LIMITS } from "../protocol/limits.js";
import { positionId } from "../protocol/position.js";
import type { CompileQueue } from "./compile-queue.js";
import type { Form } from "./form.js";
import type { MercureDialect, RequestedSelector } from "./mercure/dialect.js";
import { dialectNamed } from "./mercure/dialects.js";
import { checkPatternCost } from "./pattern-cost.js";
import type { LiveSettings } from "./settings.js";
import { stateRequestIn, timeOf } from "./state-parameters.js";
import { checkSelectorBytes, isPattern } from "./subscribe-request.js";

/** A request to change a stream, whose principal is authorized. It is JSON. */
export interface TopicChangeRequest {
  /** Of the stream. */
  readonly stream: string;
  /** See ownerOf(); absent = the request has no token. */
  readonly owner?: string | undefined;
  /** Its parameters: `add` and `remove`, and their variants. */
  readonly form: Form;
  /** By added values: what others may see of the subscriber (Mercure, "Active Subscriptions"). */
  readonly payloads: Readonly<Record<string, JsonValue>>;
}

/** The other daemons that serve the same hub. */
export interface RemoteStreams {
  /** Has the daemon that serves the stream carry out a request. Undefined = none serves it. Rejects as TopicChanges.change() does. */
  send(request: JsonValue): Promise<JsonValue | undefined>;
  /** Carries out the requests of other daemons. */
  serve(handle: (request: JsonValue) => Promise<JsonValue>): void;
}

/** The id of the position from which the change holds, and what the stream selects from there on, as parameters of its dialect. */
export interface ChangedTopics {
  readonly position: string;
  readonly parameters: Readonly<Record<string, readonly string[]>>;
}

export interface TopicChangesDeps {
  readonly hub: Hub;
  readonly history: { readonly epoch: string };
  /** The hub's URL. */
  readonly base: string;
  readonly queue: CompileQueue;
  readonly settings: LiveSettings;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** Absent = there are none. */
  readonly remote?: RemoteStreams | undefined;
}

const needsToken = () =>
  new ProtocolError("forbidden", "a topic needs a token, and the stream has none; fix: open a stream with a token");

/** What a request adds and removes. */
interface Edit {
  readonly added: readonly RequestedSelector[];
  readonly removed: readonly RequestedSelector[];
}

/** The same, compiled. */
interface CompiledEdit {
  readonly added: readonly Selector[];
  readonly removed: ReadonlySet<string>;
}

export class TopicChanges {
  readonly #deps: TopicChangesDeps;

  constructor(deps: TopicChangesDeps) {
    this.#deps = deps;
    deps.remote?.serve(async (request) => ({ ...(await this.change(readRequest(request))) }));
  }

  /** The same as change(), on the daemon that serves the stream. */
  async changeAnywhere(request: TopicChangeRequest): Promise<ChangedTopics> {
    const { remote } = this.#deps;
    try {
      return await this.change(request);
    } catch (error) {
      if (!remote || !(error instanceof ProtocolError) || error.code !== "not_found") throw error;
      const changed = await remote.send({ ...request, owner: request.owner ?? null, form: formToSend(request.form) });
      if (changed === undefined) throw error;
      return changed as unknown as ChangedTopics;
    }
  }

  /**
   * Resolves when the change is in the client record. Rejects as ControlledStreams.change() does, and with "invalid", "too_large" or
   * "unavailable" where a new stream with these topics would be rejected.
   */
  async change({ stream: name, owner, form, payloads }: TopicChangeRequest): Promise<ChangedTopics> {
    const { hub, history } = this.#deps;
    const control = hub.streams.find(name, owner);
    const dialect = dialectNamed(control.dialect);
    const edit = readEdit(form, dialect);
    const compiled = await this.#compile(edit);
    if (control.owner === undefined && this.#deps.settings.current.access.needToken(compiled.added)) throw needsToken();
    const from = await this.#replay(form, dialect);
    const replay = from && { selectors: compiled.added.map(textOf), from };
    let selectors: readonly Selector[] = [];
    const offset = await hub.streams.change(name, owner, (stream) => {
      selectors = selectorsAfter(stream, compiled, dialect);
      return { ...this.#decide(stream, selectors, changedSubscriber(stream, edit, payloads), dialect), replay };
    });
    return { position: positionId(history.epoch, offset), parameters: dialect.parametersOf(selectors) };
  }

  /** What is asked for of the earlier events of added topics; a last event id has priority, as for a new stream. */
  #replay(form: Form, dialect: MercureDialect): ReplayFrom | undefined | Promise<ReplayFrom> {
    const { hub, now } = this.#deps;
    const lastEventId = dialect.lastEventId(form);
    const state = stateRequestIn(form);
    if (lastEventId !== undefined) return hub.findReplay(lastEventId);
    if (state?.kind !== "since") return state;
    return hub.findReplaySince(timeOf(state, now()));
  }

  #compile({ added, removed }: Edit): CompiledEdit | Promise<CompiledEdit> {
    const { base, queue } = this.#deps;
    const compile = (work?: CompileWork): CompiledEdit => {
      const parse = ({ selects, value }: RequestedSelector) => parseSelector(selects, value, base, work);
      return { added: added.map(parse), removed: new Set(removed.map((it) => textOf(parse(it)))) };
    };
    return [...added, ...removed].some(isPattern) ? queue.compile(compile) : compile();
  }

  #decide(
    { server, client }: OpenStream,
    selectors: readonly Selector[],
    subscriber: Subscriber | undefined,
    dialect: MercureDialect,
  ): TopicChange {
    const { hub, settings } = this.#deps;
    const interest = { ...client.audience.interest, selectors };
    checkPatternCost(hub, server, interest, settings.current);
    return { interest, subscriber, notice: JSON.stringify(dialect.parametersOf(selectors)) };
  }
}

type ReplayFrom = AddedReplayRequest["from"];

/** Names of the parameters that ask for earlier events: see http/last-event-id.ts and http/state-parameters.ts. */
const REPLAY_PARAMETER = /^(latest|last|since|(evs[-_])?last[-_]?event[-_]?id)$/i;

/** Such parameters of one request that is handed to another daemon. */
const MAX_REPLAY_PARAMETER_COUNT = 10;

/** The parameters that count. Throws "too_large" where no stream could have what is added, and what is removed. */
function formToSend(form: Form): [name: string, value: string][] {
  const counting = form.filter(([name]) => /^(add|remove)(_|$)/.test(name));
  const replay = form.filter(([name]) => REPLAY_PARAMETER.test(name));
  if (replay.length > MAX_REPLAY_PARAMETER_COUNT) throw new ProtocolError("too_large", "too many last event ids");
  for (const action of ["add", "remove"])
    checkSelectorBytes(counting.flatMap(([name, value]) => (name.startsWith(action) ? [{ value }] : [])));
  // No id is longer: what is cut off is unknown, as the whole would be.
  const ids = replay.map(([name, value]): [string, string] => [name, value.slice(0, LIMITS.idBytes + 1)]);
  return [...counting.map(([name, value]): [string, string] => [name, value]), ...ids];
}

/** A request of another daemon, which may have another version: then "unavailable". */
function readRequest(value: JsonValue): TopicChangeRequest {
  const { stream, owner, form, payloads } = value as Partial<Record<keyof TopicChangeRequest, unknown>>;
  const isForm =
    Array.isArray(form) && form.every((it) => Array.isArray(it) && it.every((text) => typeof text === "string"));
  if (typeof stream !== "string" || !isForm || typeof payloads !== "object" || payloads === null) {
    throw new ProtocolError("unavailable", "the daemons have different versions; fix: update all of them");
  }
  const known = { stream, form: form as unknown as Form, payloads: payloads as TopicChangeRequest["payloads"] };
  return typeof owner === "string" ? { ...known, owner } : known;
}

/** Throws "invalid" for a form that the dialect does not allow, or that changes nothing. */
function readEdit(form: Form, dialect: MercureDialect): Edit {
  const [added, removed] = [dialect.changedSelectors(form, "add"), dialect.changedSelectors(form, "remove")];
  if (added.length + removed.length === 0) {
    throw new ProtocolError("invalid", 'neither "add" nor "remove" in the form; fix: name the topics to add or remove');
  }
  return { added, removed };
}

/** The selectors of a stream after a change. Throws "invalid" or "too_large" where a new stream with them would be rejected. */
function selectorsAfter(
  { client }: OpenStream,
  { added, removed }: CompiledEdit,
  { maxSelectorCount }: MercureDialect,
): readonly Selector[] {
  const both = added.find((selector) => removed.has(textOf(selector)));
  if (both) throw new ProtocolError("invalid", "a topic is both added and removed; fix: send two requests");
  const kept = client.audience.interest.selectors.filter((selector) => !removed.has(textOf(selector)));
  const selectors = canonical([...kept, ...added]);
  if (selectors.length > maxSelectorCount) {
    const text = `the stream would have ${selectors.length} topics, at most ${maxSelectorCount} are accepted`;
    throw new ProtocolError("invalid", `${text}; fix: remove others in the same request`);
  }
  checkSelectorBytes(selectors.map((selector) => ({ value: wordsOf(selector) })));
  return selectors;
}

/** The entry of its client in the subscription API, if it has one. */
function changedSubscriber(
  { client: { subscriber } }: OpenStream,
  { added, removed }: Edit,
  payloads: Readonly<Record<string, JsonValue>>,
): Subscriber | undefined {
  if (!subscriber) return undefined;
  const keyOf = ({ kind, match }: Pick<Subscribed, "kind" | "match">) => `${kind}\n${match}`;
  const subscriptions = new Map(subscriber.subscriptions.map((it) => [keyOf(it), it]));
  for (const { kind, value: match } of removed) subscriptions.delete(keyOf({ kind, match }));
  for (const { kind, value: match } of added) {
    const payload = Object.hasOwn(payloads, match) ? payloads[match] : undefined;
    const subscribed = { kind, match, ...(payload !== undefined && { payload }) };
    const key = keyOf(subscribed);
    if (!subscriptions.has(key)) subscriptions.set(key, subscribed);
  }
  return { ...subscriber, subscriptions: [...subscriptions.values()] };
}
