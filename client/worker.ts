/** The worker that all tabs of an origin share: one address, and the ports of the tabs with the types that they listen to. */
import { Source } from "./source.js";
import type { Message, SourceOptions } from "./types.js";

/** A tab that is asked for a token, and may have been closed. */
const TOKEN_TIMEOUT_MS = 10_000;

/** What a tab sends. */
interface FromTab {
  readonly join?: SourceOptions;
  readonly hasToken?: boolean;
  readonly want?: readonly string[];
  readonly leave?: true;
  readonly wake?: true;
  readonly token?: string;
  readonly error?: string;
}

interface Scope extends EventTarget {
  readonly name: string;
  readonly navigator: Navigator;
}

const scope = globalThis as unknown as Scope;
const ports = new Map<MessagePort, Set<string>>();
const lock = `${scope.name} ${crypto.getRandomValues(new Uint32Array(4)).join("-")}`;
const held = new Promise<void>((hold) => void scope.navigator.locks?.request(lock, () => new Promise(() => hold())));
let source: Source | undefined;
/** Continues the attempt that waits for a token. */
let answer: (reply: FromTab) => void = () => {};

function broadcast(message: Message): void {
  for (const [port, types] of ports) if (message.type !== "event" || types.has(message.name)) port.postMessage(message);
}

/** Asks the tab that came last. */
function getToken(): Promise<string | undefined> {
  return new Promise((resolve, reject) => {
    answer = ({ token, error }) => (error === undefined ? resolve(token) : reject(error));
    setTimeout(() => reject("no tab answers"), TOKEN_TIMEOUT_MS);
    [...ports.keys()].at(-1)?.postMessage({ type: "token" });
  });
}

/** Without tabs it has no connection. */
function leave(port: MessagePort): void {
  ports.delete(port);
  if (ports.size > 0) return;
  source?.close();
  source = undefined;
}

function receive(port: MessagePort, message: FromTab): void {
  const { join, hasToken, want = [] } = message;
  if (join) {
    ports.set(port, new Set());
    source ??= new Source(join, broadcast, hasToken ? getToken : undefined);
    port.postMessage({ type: "state", detail: source.state, id: source.lastEventId });
    void held.then(() => port.postMessage({ type: "lock", name: lock }));
  }
  for (const type of want) {
    ports.get(port)?.add(type);
    source?.listen(type);
  }
  if ("token" in message) answer(message);
  if (message.wake) source?.wake();
  if (message.leave) leave(port);
}

scope.addEventListener("connect", (event) => {
  const [port] = (event as MessageEvent).ports;
  if (port) port.onmessage = ({ data }) => receive(port, data);
});
