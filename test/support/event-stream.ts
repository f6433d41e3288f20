/**
 * A parser for text/event-stream by the letter of the WHATWG HTML standard, 9.2.6, written apart from src/protocol/sse so
 * that tests do not check that module against itself. Takes bytes in any pieces.
 */

/** A dispatched event, as a page's listener gets it. */
export interface StreamEvent {
  readonly type: string;
  readonly data: string;
  /** event.lastEventId: of this event, or of an earlier one. */
  readonly id: string;
}

export class EventStreamParser {
  readonly events: StreamEvent[] = [];
  /** The daemon's own m2push-open events, by which a stream begins: apart, as a page hears them only if it asks for the type. */
  readonly openings: StreamEvent[] = [];
  /** Comment lines without the colon. The standard drops them; tests want to see heartbeats. */
  readonly comments: string[] = [];
  /** The last `retry`, in milliseconds. */
  retry: number | undefined;
  /** What a browser would send as Last-Event-ID. */
  lastEventId = "";
  readonly #decoder = new TextDecoder("utf-8");
  #line = "";
  #skipLineFeed = false;
  #data = "";
  #type = "";
  #id = "";

  push(bytes: Uint8Array): void {
    for (const character of this.#decoder.decode(bytes, { stream: true })) this.#take(character);
  }

  #take(character: string): void {
    const ended = this.#skipLineFeed;
    this.#skipLineFeed = character === "\r";
    if (character === "\n" && ended) return;
    if (character !== "\n" && character !== "\r") {
      this.#line += character;
      return;
    }
    const line = this.#line;
    this.#line = "";
    this.#process(line);
  }

  #process(line: string): void {
    const colon = line.indexOf(":");
    const value = line.slice(colon + 1);
    if (line === "") this.#dispatch();
    else if (colon === 0) this.comments.push(value);
    else if (colon < 0) this.#field(line, "");
    else this.#field(line.slice(0, colon), value.startsWith(" ") ? value.slice(1) : value);
  }

  #field(name: string, value: string): void {
    if (name === "event") this.#type = value;
    else if (name === "data") this.#data += `${value}\n`;
    else if (name === "id" && !value.includes("\0")) this.#id = value;
    else if (name === "retry" && /^[0-9]+$/.test(value)) this.retry = Number(value);
  }

  #dispatch(): void {
    // Also without data: that is how a priming event gives a client its position.
    this.lastEventId = this.#id;
    const data = this.#data;
    const type = this.#type || "message";
    this.#data = "";
    this.#type = "";
    if (data === "") return;
    const events = type === "m2push-open" ? this.openings : this.events;
    events.push({ type, data: data.slice(0, -1), id: this.lastEventId });
  }
}
