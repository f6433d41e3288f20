/** A Mercure hub behind a real Mongrel2, one for all tests of a file, and what its clients need to speak to it. */
import assert from "node:assert/strict";
import { type IncomingHttpHeaders, request } from "node:http";
import type { TestContext } from "node:test";
import { SignJWT } from "jose";
import { WAIT_TIMEOUT_MS, within } from "../support/deadline.js";
import { type Pair, type PairOptions, pairOfSuite } from "../support/pair.js";
import { SseClient } from "../support/sse-client.js";

export const SECRET = "a secret of more than thirty-two bytes, for tests";
export const HUB = "/.well-known/mercure";
/** The hub's name for itself: [hub] origin and path as they are by default. */
const RESOURCE = `http://localhost:6767${HUB}`;
export const SUBSCRIPTIONS = `${HUB}/subscriptions`;

type Claims = Readonly<Record<string, unknown>>;

export function sign(claims: Claims, typ?: string, secret = SECRET): Promise<string> {
  const header = { alg: "HS256", ...(typ !== undefined && { typ }) };
  return new SignJWT(claims).setProtectedHeader(header).sign(Buffer.from(secret));
}

/** Seconds since 1970, some seconds from now. */
export const inSeconds = (seconds: number): number => Math.floor(Date.now() / 1000) + seconds;

/** A token of Mercure 0.x. */
export const old = (mercure: Claims, more: Claims = {}) => sign({ mercure, ...more }, "JWT");
export const oldForAll = () => old({ publish: ["*"], subscribe: ["*"] });

/** An entry of authorization_details; topics that are texts are exact ones. */
export function detail(actions: readonly unknown[], topics: readonly unknown[], more: Claims = {}): Claims {
  const all = topics.map((topic) => (typeof topic === "string" ? { match: topic } : topic));
  return { type: "https://mercure.rocks/authorization-detail", actions, topics: all, ...more };
}

export const pattern = (match: string) => ({ match, match_type: "urlpattern" });

/** The claims of an access token, good for an hour. */
export const accessClaims = (details: readonly unknown[], more: Claims = {}): Claims => ({
  iss: "https://login.example",
  aud: RESOURCE,
  exp: inSeconds(3600),
  authorization_details: details,
  ...more,
});
export const access = (details: readonly unknown[], more: Claims = {}) => sign(accessClaims(details, more), "at+jwt");
export const accessToAll = () => access([detail(["publish", "subscribe"], ["*"])]);

export const bearer = (token: string) => ({ authorization: `Bearer ${token}` });

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
}

export interface Asked {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  readonly path?: string;
}

/** Names and values, as a form: a name may come several times. */
export type Fields = Readonly<Record<string, string | readonly string[]>>;

export function form(fields: Fields): string {
  const pairs = Object.entries(fields).flatMap(([name, values]) => [values].flat().map((value) => [name, value]));
  return pairs.map((pair) => pair.map((it) => encodeURIComponent(it ?? "")).join("=")).join("&");
}

const FORM = { "content-type": "application/x-www-form-urlencoded" };

export class Mercure {
  readonly #pair: () => Pair;

  constructor(pair: () => Pair) {
    this.#pair = pair;
  }

  get pair(): Pair {
    return this.#pair();
  }

  get url(): string {
    return `${this.pair.mongrel2.url}${HUB}`;
  }

  /** A request on a connection of its own, answered in full. */
  ask(query: string, { method = "GET", headers = {}, body, path = HUB }: Asked = {}): Promise<Answer> {
    return within(
      WAIT_TIMEOUT_MS,
      this.#send(path, query, method, headers, body).then(async (response) => {
        let text = "";
        for await (const some of response.setEncoding("utf8")) text += some;
        return { status: response.statusCode ?? 0, headers: response.headers, text };
      }),
      `an answer to ${method} ${path}?${query}`,
    );
  }

  /** The status of a request; of a stream too, which is then left. */
  async status(query: string, asked: Asked = {}): Promise<number> {
    const client = await this.#open(query, asked);
    await client.close();
    return client.status;
  }

  /** Opens a stream and waits for its first position, so that it gets whatever is published from then on. */
  async open(test: Pick<TestContext, "after">, query: string, asked: Asked = {}): Promise<SseClient> {
    const client = await this.#open(query, asked);
    test.after(() => client.close());
    assert.equal(client.status, 200, client.text);
    await client.until(({ text }) => /^id: /m.test(text), "its first position");
    return client;
  }

  /** Publishes a form, with a token for everything unless another is given; null = none. */
  async publish(fields: Fields | string, token?: string | null, headers: Readonly<Record<string, string>> = {}) {
    const shown = token === undefined ? await accessToAll() : token;
    const body = typeof fields === "string" ? fields : form(fields);
    return this.ask("", {
      method: "POST",
      body,
      headers: { ...FORM, ...(shown !== null && bearer(shown)), ...headers },
    });
  }

  /** Publishes and asserts that it was taken; gives the id. */
  async published(fields: Fields | string, token?: string): Promise<string> {
    const { status, text } = await this.publish(fields, token);
    assert.equal(status, 200, text);
    return text;
  }

  /** Publishes a last event, public, to a topic that all the clients follow, and resolves with what each got before it. */
  async before(topic: string, ...clients: readonly SseClient[]): Promise<string[][]> {
    const id = await this.published({ topic, data: "the last one" });
    for (const client of clients) await client.until(({ lastEventId }) => lastEventId === id, "the last event");
    return clients.map(({ events }) => events.slice(0, -1).map(({ data }) => data));
  }

  async #open(query: string, { method = "GET", headers = {}, body, path = HUB }: Asked): Promise<SseClient> {
    const sent = this.#send(
      path,
      query,
      method,
      { accept: "text/event-stream", "cache-control": "no-cache", ...headers },
      body,
    );
    return within(WAIT_TIMEOUT_MS, sent, `the head of ${path}?${query}`).then(
      (response) => new SseClient(response.req, response),
    );
  }

  #send(path: string, query: string, method: string, headers: Readonly<Record<string, string>>, body = "") {
    return new Promise<import("node:http").IncomingMessage & { req: import("node:http").ClientRequest }>(
      (resolve, reject) => {
        // Ids are fragments: in an address their # must be encoded, or all that follows it is not sent.
        const asked = query === "" ? "" : `?${query.replaceAll("#", "%23")}`;
        const url = `${this.pair.mongrel2.url}${path}${asked}`;
        const length = body === "" ? {} : { "content-length": `${Buffer.byteLength(body)}` };
        const sent = request(url, { method, agent: false, headers: { ...headers, ...length } });
        sent.once("response", (response) => resolve(Object.assign(response, { req: sent })));
        sent.on("error", reject);
        sent.end(body);
      },
    );
  }
}

/** Begins before the first test of the file and ends after the last. */
export function mercure(options: PairOptions = {}): Mercure {
  const auth = { publisher_key: SECRET, ...options.config?.auth };
  return new Mercure(pairOfSuite({ ...options, config: { ...options.config, auth } }));
}
