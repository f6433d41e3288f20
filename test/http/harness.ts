/** The whole HTTP side on a recording outlet: requests go in as the endpoint hands them on, answers are read from what left. */
import { SignJWT } from "jose";
import { LocalBus } from "../../src/cluster/local-bus.js";
import type { Config } from "../../src/config/schema.js";
import { Compression } from "../../src/delivery/compression.js";
import type { History } from "../../src/delivery/history.js";
import { KeptTopics } from "../../src/delivery/kept-topics.js";
import type { ServerDelivery } from "../../src/delivery/server-delivery.js";
import { TopicLimits } from "../../src/delivery/topic-limits.js";
import { VisibleHistory } from "../../src/delivery/visible-history.js";
import { App, hubUrl } from "../../src/http/app.js";
import type { FetchJwks } from "../../src/http/auth/fetch-jwks.js";
import type { KeptJwks } from "../../src/http/auth/jwks-source.js";
import { Presence, type RemotePresence } from "../../src/http/mercure/presence.js";
import type { Route } from "../../src/http/route-table.js";
import { Router } from "../../src/http/router.js";
import type { Bus } from "../../src/hub/bus.js";
import { Hub } from "../../src/hub/hub.js";
import { type Revocation, Revocations } from "../../src/hub/revocations.js";
import { TopicRules } from "../../src/matching/topic-rules.js";
import { dispatch } from "../../src/mongrel2/dispatch.js";
import type { HttpRequest } from "../../src/protocol/request.js";
import { Publisher } from "../../src/publishing/publisher.js";
import { RateLimiter } from "../../src/publishing/rate-limiter.js";
import { Remover } from "../../src/publishing/remover.js";
import { MemoryHistory } from "../../src/storage/memory/memory-history.js";
import { Conditions } from "../../src/util/conditions.js";
import { load } from "../config/harness.js";
import { FakeClock } from "../support/clock.js";
import { Changes } from "../support/deadline.js";
import { MapStore } from "../support/hub.js";
import { RecordingOutlet } from "../support/outlet.js";
import { checkedRoutes } from "./documented.js";

export const SECRET = "a secret of more than thirty-two bytes, for tests";
export const HUB = "/.well-known/mercure";
/** When the clock of a Web starts, seconds since 1970. */
export const NOW = Date.UTC(2026, 0, 1) / 1000;

/** A response as its client reads it. */
export interface Response {
  readonly status: number;
  /** By names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  /** Of a stream: all that came. */
  readonly body: string;
}

export interface Sent {
  readonly id?: number;
  readonly method?: string;
  readonly query?: string;
  readonly headers?: Readonly<Record<string, string | readonly string[]>>;
  readonly body?: string | Buffer;
  readonly version?: string;
  readonly remote?: string;
  readonly upload?: "start" | "done";
  /** DOWNLOAD_CREDITS; absent = Mongrel2 sets no limit. */
  readonly credits?: number;
}

class WatchedOutlet extends RecordingOutlet {
  readonly changes = new Changes();

  override deliver(address: Buffer, body: Buffer): void {
    super.deliver(address, body);
    this.changes.tell();
  }

  override close(ids: readonly number[]): void {
    super.close(ids);
    this.changes.tell();
  }

  override cancel(ids: readonly number[]): void {
    super.cancel(ids);
    this.changes.tell();
  }
}

export interface WebOptions {
  /** TOML, added to a key for everybody. */
  readonly config?: string;
  /** Instead of those of the site. */
  readonly routes?: ReadonlyMap<string, Route>;
  /** Stands between the hub and its own bus. */
  readonly wrap?: (bus: Bus) => Bus;
  /** Conditions are not supported. */
  readonly isCluster?: boolean;
  /** What the URLs of issuers' keys answer. */
  readonly fetchJwks?: FetchJwks;
  readonly keptJwks?: KeptJwks;
  /** Other daemons that serve the same hub. */
  readonly others?: RemotePresence;
}

export class Web {
  readonly clock = new FakeClock(NOW * 1000);
  readonly history: History;
  readonly outlet = new WatchedOutlet(this.clock);
  /** As "began code" and "ended code". */
  readonly conditionLog: string[] = [];
  readonly conditions = new Conditions(this.clock, ({ type, condition }) =>
    this.conditionLog.push(`${type === "conditionBegan" ? "began" : "ended"} ${condition.code}`),
  );
  readonly hub: Hub;
  readonly server: ServerDelivery;
  readonly recordedRevocations: Revocation[] = [];
  readonly revocations = new Revocations({
    clock: this.clock,
    recorded: [],
    record: (revocations) => this.recordedRevocations.push(...revocations),
    servers: () => this.hub.servers,
    end: (server, id) => this.hub.end(server, id, "revoked"),
    tell: () => {},
    warn: () => {},
  });
  readonly site: App;
  readonly router: Router;
  readonly presence: Presence;
  readonly store = new MapStore();
  readonly config: Config;
  readonly rules: TopicRules;
  /** What the log was told of answers, as "route status why". */
  readonly answered: string[] = [];
  readonly #receive: (message: HttpRequest) => void;
  #last = 0;

  private constructor(options: WebOptions) {
    const { config: toml = "", routes, wrap = (bus) => bus, others, isCluster = false, fetchJwks, keptJwks } = options;
    const { clock } = this;
    const keyed = toml.includes("[auth]")
      ? toml.replace("[auth]", `[auth]\npublisher_key = "${SECRET}"`)
      : `${toml}\n[auth]\npublisher_key = "${SECRET}"`;
    this.config = load(keyed).config;
    const limits = { maxEvents: 1000, maxAge: 1e12, maxBytes: 1e12 };
    const visible = new VisibleHistory(new MemoryHistory(limits, clock), clock);
    this.history = visible;
    const { history } = this;
    this.rules = new TopicRules(this.config.topic, hubUrl(this.config));
    const { rules } = this;
    this.presence = new Presence({
      path: this.config.hub.path,
      base: hubUrl(this.config),
      head: () => history.last,
      remote: others,
    });
    this.hub = new Hub({
      isRevoked: (client) => this.revocations.isRevokedClient(client),
      bus: wrap(new LocalBus(history, clock)),
      history,
      clients: this.store,
      observe: () => {},
      presenceListener: this.presence,
      presence: this.presence,
      clock,
      base: hubUrl(this.config),
      rules,
      random: () => 0.5,
      compression: new Compression({
        ...{ mode: this.config.stream.compression, clock },
        failed: (error) => {
          throw error;
        },
      }),
    });
    visible.limit(new TopicLimits(rules, this.hub.topics));
    visible.keep(new KeptTopics(rules, this.hub.topics));
    this.server = this.hub.serveMongrel2("main", this.outlet, this.config.stream);
    this.site = new App(this.config, {
      hub: this.hub,
      history,
      presence: this.presence,
      publisher: new Publisher({
        ...{ hub: this.hub, keys: this.history, repeated: () => {} },
        rates: new RateLimiter(this.config.publish, clock, rules),
        ...(isCluster ? {} : { topics: this.hub.topics }),
      }),
      remover: new Remover({ hub: this.hub, history }),
      ...{ clock, rules },
      warn: () => {},
      isRevoked: (token) => this.revocations.isRevoked(token),
      conditions: this.conditions,
      random: () => 0,
      ...(fetchJwks && { fetchJwks }),
      ...(keptJwks && { keptJwks }),
    });
    this.router = new Router({
      hub: this.hub,
      routes: routes ?? checkedRoutes(this.site.routes),
      commonHeaders: (request) => this.site.commonHeaders(request),
      hosts: () => this.site.hosts(),
      withVisitor: (request) => this.site.withVisitor(request),
      requestCompleted: (_, route, status, why) => this.answered.push([route, status, why].join(" ").trim()),
    });
    this.#receive = dispatch(this.hub, this.server, this.router) as (message: HttpRequest) => void;
  }

  static async open(options: WebOptions = {}): Promise<Web> {
    const web = new Web(options);
    await web.hub.start();
    web.server.start();
    return web;
  }

  /** Hands a request on; returns its connection, a new one unless `id` says which. */
  send(path: string, sent: Sent = {}): number {
    const { id = ++this.#last, method = "GET", query = "", body = "", version = "HTTP/1.1" } = sent;
    this.#last = Math.max(this.#last, id);
    const headers = Object.entries(sent.headers ?? {}).map(([name, value]) => [name, [value].flat()] as const);
    const { remote = "203.0.113.9", upload, credits } = sent;
    const uri = query === "" ? path : `${path}?${query}`;
    const target = { path, uri, query, method, version, scheme: "http", remote };
    const bytes = typeof body === "string" ? Buffer.from(body) : body;
    this.#receive({
      kind: "http",
      sender: "test",
      id,
      ...target,
      headers: new Map(headers),
      body: bytes,
      credits,
      upload,
    });
    return id;
  }

  /** Hands a request on, on a connection of its own, and resolves with its response: of a stream, what is there at once. */
  async get(path: string, sent: Sent = {}): Promise<Response> {
    const id = this.send(path, sent);
    await this.outlet.changes.until(() => this.responses(id).length > 0, `an answer to ${path}`);
    return this.responses(id)[0] as Response;
  }

  /** Publishes as a form; `token` defaults to one for everything. */
  async post(form: string | Buffer, sent: Sent & { readonly token?: string | null } = {}): Promise<Response> {
    const { token = await everything(), headers, ...rest } = sent;
    const type = { "content-type": "application/x-www-form-urlencoded" };
    const all = { ...type, ...(token !== null && { authorization: `Bearer ${token}` }), ...headers };
    return this.get(HUB, { method: "POST", body: form, headers: all, ...rest });
  }

  /** What a connection was sent, as its client reads it. */
  responses(id: number): Response[] {
    return readResponses(this.outlet.received.get(id) ?? "");
  }

  /** Resolves when a connection has `count` responses. */
  async until(id: number, count: number): Promise<Response[]> {
    await this.outlet.changes.until(() => this.responses(id).length >= count, `${count} responses`);
    return this.responses(id);
  }

  /** The data of the events that a stream has got, after everything that can be sent now was sent. */
  events(id: number): string[] {
    this.outlet.acknowledgeAll();
    return this.outlet.events(id);
  }
}

function readResponses(text: string): Response[] {
  const responses: Response[] = [];
  for (let at = 0; at < text.length; ) {
    const end = text.indexOf("\r\n\r\n", at);
    const [line = "", ...lines] = text.slice(at, end).split("\r\n");
    const headers: Record<string, string> = {};
    for (const [name = "", value = ""] of lines.map((it) => it.split(/: (.*)/s, 2)))
      headers[name.toLowerCase()] = value;
    const isStream = headers["content-type"] === "text/event-stream";
    const length = isStream ? text.length : Number(headers["content-length"] ?? 0);
    const body = Buffer.from(text.slice(end + 4))
      .subarray(0, length)
      .toString();
    responses.push({ status: Number(line.split(" ")[1]), headers, body });
    at = end + 4 + (isStream ? length : body.length);
  }
  return responses;
}

type Claims = Readonly<Record<string, unknown>>;

const sign = (claims: Claims, typ?: string) =>
  new SignJWT(claims).setProtectedHeader({ alg: "HS256", ...(typ !== undefined && { typ }) }).sign(Buffer.from(SECRET));

/** A token of Mercure 0.x. */
export const tokenV0 = (mercure: Claims, more: Claims = {}) => sign({ mercure, ...more }, "JWT");

export const DETAIL = "https://mercure.rocks/authorization-detail";

/** An entry of authorization_details; topics are exact ones unless they are objects. */
export function detail(actions: readonly string[], topics: readonly unknown[], more: Claims = {}): Claims {
  const all = topics.map((topic) => (typeof topic === "string" ? { match: topic } : topic));
  return { type: DETAIL, actions, topics: all, ...more };
}

/** An access token of draft-08 for the default hub, good for an hour. */
export function tokenV8(details: readonly Claims[], more: Claims = {}): Promise<string> {
  const standard = { iss: "https://login.example", aud: `http://localhost:6767${HUB}`, exp: NOW + 3600 };
  return sign({ ...standard, authorization_details: details, ...more }, "at+jwt");
}

/** May do everything, in 0.x. */
export const everything = () => tokenV0({ publish: ["*"], subscribe: ["*"] });
/** May do everything, in draft-08. */
export const everythingV8 = () => tokenV8([detail(["publish", "subscribe"], ["*"])]);
