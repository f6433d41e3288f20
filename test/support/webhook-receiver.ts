/** A receiver of webhooks as a backend has one: it verifies signatures, and can be dead. */
import { createHmac } from "node:crypto";
import { once } from "node:events";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { Changes } from "./deadline.js";

export const WEBHOOK_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

export interface ReceivedEvent {
  readonly id: string;
  readonly kind: string;
  readonly sequence: number;
  readonly session: string;
  readonly connection: number;
  readonly [member: string]: unknown;
}

export class WebhookReceiver {
  /** Each event once, in the order in which it came first. */
  readonly events: ReceivedEvent[] = [];
  /** Requests that were taken. */
  requests = 0;
  /** What it answers. */
  status = 204;
  readonly changes = new Changes();
  readonly #ids = new Set<string>();
  readonly #port: number;
  #server: Server | undefined;

  private constructor(server: Server) {
    this.#server = server;
    this.#port = (server.address() as AddressInfo).port;
    this.#serve(server);
  }

  static async start(): Promise<WebhookReceiver> {
    const server = createServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    return new WebhookReceiver(server);
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}/clients`;
  }

  /** As if its process was killed. */
  stop(): void {
    this.#server?.closeAllConnections();
    this.#server?.close();
    this.#server = undefined;
  }

  /** Starts again at the same port. */
  async restart(): Promise<void> {
    const server = createServer().listen(this.#port, "127.0.0.1");
    this.#server = server;
    this.#serve(server);
    await once(server, "listening");
  }

  /** Resolves when these events are there. */
  until(found: (events: readonly ReceivedEvent[]) => boolean, what: string, ms?: number): Promise<true> {
    return this.changes.until(
      () => (found(this.events) ? true : undefined),
      what,
      ms,
      () => `; ${this.events.length} events: ${JSON.stringify(this.events.slice(-5))}`,
    );
  }

  #serve(server: Server): void {
    server.on("request", async (request, response) => {
      const body = await text(request);
      const { "webhook-id": id, "webhook-timestamp": time, "webhook-signature": given } = request.headers;
      const key = Buffer.from(WEBHOOK_SECRET.slice("whsec_".length), "base64");
      const signature = `v1,${createHmac("sha256", key).update(`${id}.${time}.${body}`).digest("base64")}`;
      response.writeHead(given === signature ? this.status : 401).end();
      if (given !== signature || this.status !== 204) return;
      this.requests++;
      for (const event of JSON.parse(body).data.events as ReceivedEvent[]) {
        if (this.#ids.has(event.id)) continue;
        this.#ids.add(event.id);
        this.events.push(event);
      }
      this.changes.tell();
    });
  }
}
