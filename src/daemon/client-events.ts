/** Starts what tells backends of clients. Without [events] zmq and [[webhook]] no observer is added. */
import { hostname } from "node:os";
import { Describer } from "../client-events/client-event.js";
import { EventFeed } from "../client-events/event-feed.js";
import { Webhooks } from "../client-events/webhooks.js";
import type { Config } from "../config/schema.js";
import { publishImplementation } from "../config/zmq-implementation.js";
import { socketObserver } from "../ingress/socket-observer.js";
import { openEventStore } from "../storage/client-events/open-event-store.js";
import { conditionTexts } from "../util/condition-texts.js";
import { ConnectionCap } from "../util/descriptors.js";
import { type EventPublisher, MAX_SUBSCRIBER_COUNT } from "../zmq/event-publisher.js";
import { LibzmqPublisher } from "../zmq/libzmq-publisher.js";
import { NativePublisher } from "../zmq/native-publisher.js";
import type { ClientEvents, DaemonContext } from "./daemon-context.js";

/** Rejects with "link_failed" when the address cannot be bound, and with "storage_unusable" when webhooks cannot be stored. */
export async function startClientEvents(context: DaemonContext): Promise<ClientEvents> {
  const { initial, options } = context;
  const idents = new Map(initial.mongrel2.map(({ name, send_ident: ident }) => [name, ident]));
  const describer = new Describer({ clock: options.clock, daemon: `${hostname()}/${process.pid}`, idents });
  const closeFeed = initial.events.zmq === "" ? undefined : await startFeed(context, describer);
  const webhooks = new WebhookPart(context, describer);
  const close = async () => {
    await webhooks.close();
    await closeFeed?.();
  };
  try {
    if (initial.webhook.length > 0) await webhooks.start(initial);
  } catch (error) {
    await close();
    throw error;
  }
  return { reload: (config) => webhooks.reload(config), close };
}

/** Returns what closes it. */
async function startFeed(context: DaemonContext, describer: Describer): Promise<() => Promise<void>> {
  const { zmq: address, zmq_events: kinds } = context.initial.events;
  const { publisher, cap } = openPublisher(context, address);
  await publisher.start(socketObserver(address, context.conditions, context.observe));
  const feed = new EventFeed({ publisher, describer, kinds });
  context.observers.push(feed.observe);
  context.state.eventFeed = () => feed.status;
  return async () => {
    await publisher.close();
    cap.close();
  };
}

function openPublisher(
  { initial, options: { clock }, conditions }: DaemonContext,
  spec: string,
): { publisher: EventPublisher; cap: ConnectionCap } {
  const texts = conditionTexts.subscribersAtLimit(MAX_SUBSCRIBER_COUNT);
  const cap = new ConnectionCap(MAX_SUBSCRIBER_COUNT, { clock, conditions, subject: "events.zmq", ...texts });
  const isNative = publishImplementation(initial, spec).implementation === "native";
  const publisher = isNative ? new NativePublisher({ spec, clock, cap }) : new LibzmqPublisher(spec, clock);
  return { publisher, cap };
}

/** The webhooks. They are started with the daemon, or by the first reload that has some. */
class WebhookPart {
  readonly #context: DaemonContext;
  readonly #describer: Describer;
  #webhooks: Webhooks | undefined;
  #starting = Promise.resolve();

  constructor(context: DaemonContext, describer: Describer) {
    this.#context = context;
    this.#describer = describer;
  }

  async start(config: Config): Promise<void> {
    const { initial, options, conditions, observers, state, observe } = this.#context;
    const { clock, log } = options;
    const warn = (warning: string) => log.warn({ event: "webhook_store" }, warning);
    const store = await openEventStore({
      ...{ folder: initial.history.path, maxAge: initial.events.max_age, clock, conditions, warn },
    });
    const webhooks = new Webhooks(config, {
      ...{ store, clock, conditions, describer: this.#describer, random: Math.random },
      servers: new Set(initial.mongrel2.map(({ name }) => name)),
      lost: (webhook, count) => observe({ type: "webhookEventsLost", webhook, count }),
    });
    this.#webhooks = webhooks;
    observers.push(webhooks.observe);
    state.webhooks = () => webhooks.status;
  }

  /** Webhooks that the daemon did not start with are opened in the background. */
  reload(config: Config): void {
    if (this.#webhooks) this.#webhooks.configure(config);
    else if (config.webhook.length > 0) this.#starting = this.#starting.then(() => this.#startLate(config));
  }

  async close(): Promise<void> {
    await this.#starting;
    await this.#webhooks?.close();
  }

  async #startLate(config: Config): Promise<void> {
    if (this.#webhooks) {
      this.#webhooks.configure(config);
      return;
    }
    const { log } = this.#context.options;
    try {
      await this.start(config);
    } catch (error) {
      log.error({ event: "webhook_store", err: error }, "webhooks are not started");
    }
  }
}
