/** Parses the text of an event stream, in any pieces (WHATWG HTML 9.2.6). */
import type { StreamObserver } from "./types.js";

/** The returned function returns the length of what is held of an unfinished event. */
export function eventParser({ received, retry }: Pick<StreamObserver, "received" | "retry">): (text: string) => number {
  let rest = "";
  let endsWithCr = false;
  let [type, data, id, lastId] = ["", "", "", ""];
  const line = (text: string) => {
    if (text === "") {
      // "data" alone is an event with empty data; no data field at all is none.
      if (data || id !== lastId) received(type || "message", data ? data.slice(0, -1) : undefined, id);
      [type, data, lastId] = ["", "", id];
      return;
    }
    const [, name, value = ""] = /^([^:]*)(?:: ?(.*))?$/s.exec(text) ?? [];
    if (name === "data") data += `${value}\n`;
    else if (name === "event") type = value;
    else if (name === "id" && !value.includes("\0")) id = value;
    else if (name === "retry" && /^\d+$/.test(value)) retry(Number(value));
  };
  return (text) => {
    // An LF after a CR that ended the last piece ends no line of its own.
    const piece = endsWithCr && text.startsWith("\n") ? text.slice(1) : text;
    if (text) endsWithCr = text.endsWith("\r");
    const [first = "", ...others] = piece.split(/\r\n|\r|\n/);
    rest += first;
    for (const next of others) {
      line(rest);
      rest = next;
    }
    return rest.length + data.length;
  };
}
