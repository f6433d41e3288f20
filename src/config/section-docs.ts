import type { Config } from "./schema.js";

/** What each table of the configuration is for, in one or two sentences. */
export const SECTION_DOCS: Readonly<Record<keyof Config, string>> = {
  mongrel2:
    "One table for each Mongrel2 that the daemon serves. send_spec, recv_spec and send_ident are those of the Handler in " +
    "mongrel2.conf, under the same names.",
  stream: "Event streams: the path of the plain EventSource stream, timers, and limits.",
  beacon: "Publishes a test event at a fixed interval.",
  publish: "Ingress for publishers that use ZeroMQ.",
  zmq: "The ZeroMQ sockets of the links and of the publishers.",
  hub: "The Mercure hub: subscribing and publishing over HTTP.",
  history:
    "Retention of past events, which are replayed to clients that reconnect. When a limit is exceeded, the oldest events are removed.",
  auth: "Authorization of subscribers and of publishers that use HTTP.",
  cluster: "Several daemons that share their events through NATS JetStream.",
  admin: "Metrics, health checks, status and dashboard for operators.",
  topic:
    "Rules for topics, one table for each set of topics, with exactly one of topic, template and pattern. The first table that " +
    "matches a topic applies to it. An event with several topics obeys the strictest of its tables.",
  issuer:
    "Trusted issuers of tokens, one table for each, beside the keys of [auth]. The iss claim of a token selects the table.",
  traces: "Traces of single events, from the publisher's request to Mongrel2 (OpenTelemetry).",
  events: "What a backend is told of clients: who connects, who leaves, who missed events.",
  webhook:
    "Addresses of backends that are told by HTTP requests, one table for each: every event at least once, in order for each client.",
  log: "The log: JSON lines on standard output; readable text when standard output is a terminal.",
};
