/**
 * The native socket for publishers against a PULL socket of libzmq: both get the same bytes, and the messages that come out are compared.
 * A connection that breaks the protocol may end in either; what it delivered before must be the same.
 */
import assert from "node:assert/strict";
import { once } from "node:events";
import { connect } from "node:net";
import { after, before, describe, test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import fc from "fast-check";
import { Pull, Push } from "zeromq";
import { GREETING, GREETING_BYTES, partsFrame, readyFrame } from "../../src/protocol/zmtp.js";
import { type Clock, systemClock } from "../../src/util/clock.js";
import { NativeServer } from "../../src/zmq/native-server.js";
import { damaged } from "../support/arbitraries.js";
import { Changes } from "../support/deadline.js";
import { freePort } from "../support/ports.js";
import { serverReceiver } from "../support/server-receiver.js";

/** The largest message of NativeServer. */
const MAX_MESSAGE_BYTES = 4_000_000;
/** libzmq ends a connection whose first message arrives before it has sent its READY. */
const HANDSHAKE_BYTES = GREETING_BYTES + readyFrame("PULL").length;

interface Outcome {
  /** Each message: its parts as hexadecimal digits. */
  readonly messages: readonly string[];
  /** The connection was ended for a protocol error. */
  readonly isRefused: boolean;
}

const asText = (parts: readonly Buffer[]): string => parts.map((part) => part.toString("hex")).join(" ");

/** What a publisher sends: greeting and READY, and then, once the other side has completed the handshake, everything else. */
interface Stream {
  readonly handshake: readonly Buffer[];
  readonly frames: readonly Buffer[];
}

/** Sends each chunk as a write of its own, ends the connection, and waits until the other side has ended it as well. */
async function deliver(port: number, { handshake, frames }: Stream): Promise<void> {
  const socket = connect(port, "127.0.0.1");
  const changes = new Changes();
  let received = 0;
  // A peer that refuses the bytes may reset the connection.
  socket.on("error", () => {}).on("close", () => changes.tell());
  socket.on("data", ({ length }) => {
    received += length;
    changes.tell();
  });
  const write = async (chunks: readonly Buffer[]) => {
    for (const chunk of chunks) {
      socket.write(chunk);
      await turn();
    }
  };
  socket.setNoDelay(true);
  await once(socket, "connect");
  await write(handshake);
  await changes.until(() => socket.closed || received >= HANDSHAKE_BYTES, "the handshake of the other side");
  await write(frames);
  socket.end();
  await changes.until(() => socket.closed, "the end of the connection");
}

/** Timers of the handshake run faster: damaged bytes make the socket wait for the remainder of a READY. */
const TIME_FACTOR = 50;
const fastClock: Clock = { ...systemClock, after: (ms, run) => systemClock.after(ms / TIME_FACTOR, run) };

class NativeSide {
  readonly #port: number;
  readonly #server: NativeServer;
  #messages: string[] = [];
  #isRefused = false;

  private constructor(port: number) {
    this.#port = port;
    this.#server = new NativeServer(`tcp://127.0.0.1:${port}`, fastClock);
  }

  static async start(): Promise<NativeSide> {
    const side = new NativeSide(await freePort());
    const receive = (parts: readonly Buffer[]) => side.#messages.push(asText(parts));
    const refused = () => {
      side.#isRefused = true;
    };
    await side.#server.start({ ...serverReceiver(receive), refused });
    return side;
  }

  async run(stream: Stream): Promise<Outcome> {
    [this.#messages, this.#isRefused] = [[], false];
    await deliver(this.#port, stream);
    do await turn();
    while (this.#server.hasBacklog);
    return { messages: this.#messages, isRefused: this.#isRefused };
  }

  close(): Promise<void> {
    return this.#server.close();
  }
}

/** Sent behind each connection: libzmq reports the end of a connection before it hands over the last messages. */
const SENTINEL = "sentinel";

class LibzmqSide {
  readonly #spec: string;
  readonly #pull = new Pull({ linger: 0, maxMessageSize: MAX_MESSAGE_BYTES, receiveHighWaterMark: 0 });
  readonly #push = new Push({ linger: 0 });
  readonly #changes = new Changes();
  #ended = 0;
  #isRefused = false;

  private constructor(spec: string) {
    this.#spec = spec;
    this.#pull.events.on("disconnect", () => {
      this.#ended++;
      this.#changes.tell();
    });
    this.#pull.events.on("handshake:error:protocol", ({ error }) => {
      if (error.code === "ERR_ZMTP_UNEXPECTED_COMMAND") this.#isRefused = true;
    });
  }

  static async start(): Promise<LibzmqSide> {
    const side = new LibzmqSide(`tcp://127.0.0.1:${await freePort()}`);
    await side.#pull.bind(side.#spec);
    side.#push.connect(side.#spec);
    return side;
  }

  /** `isRefused`: only for a frame behind a damaged READY that arrived before libzmq had sent its own. */
  async run(stream: Stream): Promise<Outcome> {
    const before = this.#ended;
    this.#isRefused = false;
    await deliver(Number(this.#spec.split(":").at(-1)), stream);
    await this.#changes.until(() => this.#ended > before, "libzmq to end the connection");
    await this.#push.send(SENTINEL);
    const messages: string[] = [];
    this.#pull.receiveTimeout = -1;
    for (;;) {
      const parts = await this.#pull.receive().catch((error: NodeJS.ErrnoException) => {
        if (error.code !== "EAGAIN") throw error;
      });
      if (parts === undefined) return { messages, isRefused: this.#isRefused };
      if (String(parts[0]) === SENTINEL) this.#pull.receiveTimeout = 0;
      else messages.push(asText(parts));
    }
  }

  close(): void {
    this.#push.close();
    this.#pull.close();
  }
}

const part = fc.oneof(
  fc.uint8Array({ maxLength: 20 }),
  fc.uint8Array({ minLength: 250, maxLength: 260 }),
  fc.nat({ max: 20_000 }).map((length) => Buffer.alloc(length, "x")),
);
const message = fc
  .array(part, { minLength: 1, maxLength: 4 })
  .map((parts) => partsFrame(parts.map((it) => Buffer.from(it))));
const ping = fc.uint8Array({ maxLength: 16 }).map((context) => {
  const body = Buffer.concat([Buffer.from("\x04PING\0\0"), context]);
  return Buffer.concat([Buffer.from([4, body.length]), body]);
});
/** What a publisher sends after the handshake. */
const frames = fc
  .array(fc.oneof({ weight: 5, arbitrary: message }, ping), { maxLength: 8 })
  .map((all) => Buffer.concat(all));
/** READY with properties that neither side knows. */
const ready = fc.constantFrom(readyFrame("PUSH"), readyFrame("PUSH", "an identity"));

/** Cuts the bytes into writes at up to four places. */
const cut = (bytes: Buffer): fc.Arbitrary<Buffer[]> =>
  fc.array(fc.nat({ max: bytes.length }), { maxLength: 4 }).map((places) => {
    const edges = [0, ...places.sort((a, b) => a - b), bytes.length];
    return edges.slice(1).map((end, index) => bytes.subarray(edges[index], end));
  });

const streamOf = (first: fc.Arbitrary<Buffer>, rest: fc.Arbitrary<Buffer>): fc.Arbitrary<Stream> =>
  fc.record({
    handshake: first.chain((bytes) => cut(Buffer.concat([GREETING, bytes]))),
    frames: rest.chain(cut),
  });

describe("ZeroMQ, native against libzmq", () => {
  let native: NativeSide;
  let libzmq: LibzmqSide;

  before(async () => {
    [native, libzmq] = await Promise.all([NativeSide.start(), LibzmqSide.start()]);
  });
  after(async () => {
    libzmq.close();
    await native.close();
  });

  test("a well-formed stream gives the same messages", async () => {
    await fc.assert(
      fc.asyncProperty(streamOf(ready, frames), async (stream) => {
        const [ours, theirs] = await Promise.all([native.run(stream), libzmq.run(stream)]);
        assert.deepEqual(ours, theirs);
        assert.equal(ours.isRefused, false);
      }),
      { numRuns: 200 },
    );
  });

  test("a damaged stream gives the same messages up to the fault", async () => {
    const stream = fc.oneof(
      { weight: 3, arbitrary: streamOf(ready, frames.chain(damaged)) },
      streamOf(ready.chain(damaged), frames),
    );
    await fc.assert(
      fc.asyncProperty(stream, async (sent) => {
        const [ours, theirs] = await Promise.all([native.run(sent), libzmq.run(sent)]);
        const common = Math.min(ours.messages.length, theirs.messages.length);
        assert.deepEqual(ours.messages.slice(0, common), theirs.messages.slice(0, common));
        // The native socket is stricter: it also ends a connection at undefined flags and at malformed commands.
        if (!ours.isRefused) assert.equal(common, theirs.messages.length);
        if (!theirs.isRefused) assert.equal(common, ours.messages.length);
      }),
      { numRuns: 400 },
    );
  });
});
