/**
 * CURVE (rfc.zeromq.org/spec/26) for a socket of libzmq that is the server: its traffic is encrypted, and a ZAP handler
 * (rfc.zeromq.org/spec/27) admits one client key. Each such socket has a context of its own, since a context has one ZAP handler.
 */
import type { Context, Reply } from "zeromq";

export interface CurveKeys {
  /** Z85, 40 characters, as every key here. */
  readonly serverSecretKey: string;
  /** The only key that is admitted. */
  readonly clientPublicKey: string;
}

const ZAP_ADDRESS = "inproc://zeromq.zap.01";
const ZAP_VERSION = "1.0";
/** Any text: with a domain libzmq asks the handler. */
const ZAP_DOMAIN = "m2push";
const Z85_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#";

/** A context whose ZAP handler runs, for the sockets of one server. */
export class CurveServer {
  readonly #context: Context;
  readonly #handler: Reply;
  readonly #keys: CurveKeys;

  private constructor(context: Context, handler: Reply, keys: CurveKeys) {
    this.#context = context;
    this.#handler = handler;
    this.#keys = keys;
  }

  static async start(keys: CurveKeys): Promise<CurveServer> {
    const { Context, Reply } = await import("zeromq");
    const context = new Context();
    const handler = new Reply({ context, linger: 0 });
    await handler.bind(ZAP_ADDRESS);
    const server = new CurveServer(context, handler, keys);
    void server.#answer();
    return server;
  }

  /** Options of a socket. Without an answer of the handler libzmq admits nobody. */
  get options() {
    return {
      context: this.#context,
      curveServer: true,
      curveSecretKey: this.#keys.serverSecretKey,
      zapDomain: ZAP_DOMAIN,
      zapEnforceDomain: true,
    };
  }

  /** The sockets must be closed before. */
  close(): void {
    this.#handler.close();
  }

  /** Ends with close(). Any other error is a defect: it becomes an unhandled rejection, which ends the process. */
  async #answer(): Promise<void> {
    for await (const [version = "", requestId = "", , , , mechanism, key] of this.#handler) {
      const isAdmitted =
        String(mechanism) === "CURVE" && key !== undefined && encodeZ85(key) === this.#keys.clientPublicKey;
      const [status, text] = isAdmitted ? ["200", "OK"] : ["400", "the key is not admitted"];
      await this.#handler.send([String(version) || ZAP_VERSION, requestId, status, text, "", ""]);
    }
  }
}

/** Encodes 4 bytes as 5 digits (rfc.zeromq.org/spec/32). */
function encodeZ85(bytes: Buffer): string {
  let text = "";
  for (let at = 0; at + 4 <= bytes.length; at += 4) {
    const value = bytes.readUInt32BE(at);
    for (let place = 85 ** 4; place >= 1; place /= 85) text += Z85_DIGITS[Math.floor(value / place) % 85];
  }
  return text;
}

/** A new pair of keys. */
export async function createCurveKeyPair(): Promise<{ readonly publicKey: string; readonly secretKey: string }> {
  const { curveKeyPair } = await import("zeromq");
  return curveKeyPair();
}
