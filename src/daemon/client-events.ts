/** Starts what tells backends who connects and who leaves. Without [events] nothing is started, and no observer is added. */
import { hostname } from "node:os";
import { Describer } from "../client-events/client-event.js";
import { EventFeed } from "../client-events/event-feed.js";
import { publishImplementation } from "../config/zmq-implementation.js";
import { socketObserver } from "../ingress/socket-observer.js";
import { conditionTexts } from "../util/condition-texts.js";
import { ConnectionCap } from "../util/descriptors.js";
import { type EventPublisher, MAX_SUBSCRIBER_COUNT } from "../zmq/event-publisher.js";
import { LibzmqPublisher } from "../zmq/libzmq-publisher.js";
import { NativePublisher } from "../zmq/native-publisher.js";
import type { ClientEvents, DaemonContext } from "./daemon-context.js";

/** Undefined = nobody is told anything. Rejects with "link_failed" when the address cannot be bound. */
export async function startClientEvents(context: DaemonContext): Promise<ClientEvents | undefined> {
  const { initial, options } = context;
  const { zmq: address, zmq_events: kinds } = initial.events;
  if (address === "") return undefined;
  const idents = new Map(initial.mongrel2.map(({ name, send_ident: ident }) => [name, ident]));
  const describer = new Describer({ clock: options.clock, daemon: `${hostname()}/${process.pid}`, idents });
  const { publisher, cap } = openPublisher(context, address);
  await publisher.start(socketObserver(address, context.conditions, context.observe));
  const feed = new EventFeed({ publisher, describer, kinds });
  context.observers.push(feed.observe);
  context.state.eventFeed = () => feed.status;
  return {
    async close() {
      await publisher.close();
      cap.close();
    },
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
