/** A fetch() without a network: a test sees each request, and answers it when and as it likes. Time is the test's, too. */
import type { TestContext } from "node:test";
import { Changes } from "./deadline.js";

class FakeRequest {
  readonly url: URL;
  readonly method: string;
  readonly headers: Headers;
  readonly body: string;
  readonly signal: AbortSignal | undefined;
  #resolve: (response: Response) => void = () => {};
  #reject: (error: Error) => void = () => {};
  readonly response: Promise<Response>;
  #stream: ReadableStreamDefaultController<Uint8Array> | undefined;

  constructor(url: string | URL, { method = "GET", headers, body, signal }: RequestInit) {
    this.url = new URL(url);
    this.method = method;
    this.headers = new Headers(headers);
    this.body = String(body ?? "");
    this.signal = signal ?? undefined;
    this.response = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    signal?.addEventListener("abort", () => this.fail(new Error("aborted")));
  }

  get isAborted(): boolean {
    return this.signal?.aborted ?? false;
  }

  /** Opens the stream. */
  open(text = "", headers: Record<string, string> = {}): this {
    const body = new ReadableStream<Uint8Array>({
      start: (stream) => {
        this.#stream = stream;
      },
    });
    this.#resolve(new Response(body, { headers: { "content-type": "text/event-stream", ...headers } }));
    return text === "" ? this : this.send(text);
  }

  send(text: string): this {
    this.#stream?.enqueue(Buffer.from(text));
    return this;
  }

  end(): void {
    this.#stream?.close();
  }

  answer(status: number, text: string | null = null, headers: Record<string, string> = {}): void {
    this.#resolve(new Response(text, { status, headers }));
  }

  fail(error: Error): void {
    this.#reject(error);
    this.#stream?.error(error);
  }
}

export interface FakeFetch {
  readonly requests: readonly FakeRequest[];
  /** Resolves with a request, by its number from 0. */
  request(index: number): Promise<FakeRequest>;
  /** Lets time pass, once everything that is under way has been done. */
  pass(milliseconds: number): Promise<void>;
}

/** Everything that waits for a promise, but not for time, has run. */
export const turn = () => new Promise<void>((resolve) => setImmediate(() => setImmediate(resolve)));

/** Replaces fetch(), time and chance for a test. Chance is 0: delays are their smallest. */
export function fakeFetch(t: TestContext): FakeFetch {
  const requests: FakeRequest[] = [];
  const changes = new Changes();
  t.mock.timers.enable({ apis: ["setTimeout", "Date"], now: Date.UTC(2026, 0, 1) });
  t.mock.method(Math, "random", () => 0);
  t.mock.method(globalThis, "fetch", (url: string | URL, init: RequestInit = {}) => {
    const request = new FakeRequest(url, init);
    requests.push(request);
    changes.tell();
    return request.response;
  });
  return {
    requests,
    request: (index) => changes.until(() => requests[index], `request ${index}`),
    async pass(milliseconds) {
      await turn();
      t.mock.timers.tick(milliseconds);
      await turn();
    },
  };
}
