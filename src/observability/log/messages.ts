/**
 * The text of each log line, in one place: edit a text here. Tests that pin a text take it from here, docs/troubleshooting.md quotes
 * them. A text says what happened in words that an operator searches for; the values are in the fields.
 */
export const MESSAGES = {
  clientConnected: "client connected",
  clientAdopted: "client adopted",
  clientDisconnected: "client disconnected",
  topicsChanged: "topics of a stream changed",
  published: "event published",
  flushed: "flush sent",
  idRepeated: "event id repeated: clients that reconnect may miss events or receive some twice",
  removed: "events removed",
  gapReported: "client missed publications",
  linkLive: "Mongrel2 connection established",
  linkLost: "Mongrel2 connection lost",
  malformedMessage: "malformed message from Mongrel2",
  staleMessagesDropped: "dropped messages of an earlier Mongrel2 process",
  identMismatch: "Mongrel2 uses another send_ident than the configured one",
  controlPortFailed: "Mongrel2 control port request failed",
  adoptionCompleted: "restored the previous run's clients",
  orphansClosed: "closed connections that an earlier process left without a response",
  publicationRejected: "publication rejected",
  keysEvicted: "idempotency keys evicted before the end of their window: repeats of older requests are published again",
  spansDropped: "spans dropped: more events are traced than the collector takes",
  peerRejected: "ZeroMQ peer rejected",
  zmqConnectionLost: "ZeroMQ connection lost",
  requestCompleted: "request completed",
  requestRefused: "request refused",
  webhookEventsLost: "removed the oldest events that waited for a webhook",
  outputTooSlow: "dropped log lines: standard output is too slow",
  outputFailed: "dropped log lines: standard output could not be written",
} as const;

/** What an operator can do, where a line of MESSAGES has a field `fix`. */
export const FIXES = {
  idRepeated: "leave event ids to the hub, or let the publisher continue its numbering after a restart",
  keysEvicted: "raise [publish] max_keys, or lower idempotency_window to what publishers need",
  webhookEventsLost: "start the receiver, or raise [events] max_pending or max_age",
  spansDropped: "let publishers sample fewer traces, or make the OpenTelemetry collector faster",
  identMismatch: "set [[mongrel2]] send_ident to the send_ident of the handler in Mongrel2's configuration",
} as const;

/** The line at the end of a condition; the line at its beginning has the condition's message. */
export const conditionEnded = (message: string): string => `resolved: ${message}`;
