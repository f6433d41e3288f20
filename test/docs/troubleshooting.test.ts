/** Every entry of docs/troubleshooting.md is shown by a test: this table says by which. An entry without one does not stay. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { PROJECT } from "../support/processes.js";
import { page } from "./pages.js";

type Shown = readonly [file: string, ...titles: readonly string[]];

const OWN = "e2e/troubleshooting";

/** By heading: files below test/, and the beginnings of the titles of their tests. */
const ENTRIES: Readonly<Record<string, readonly Shown[]>> = {
  "A stream does not open, and there is no error": [
    [OWN, "without a daemon a stream waits, files are served, and the next daemon answers"],
    ["e2e/doctor", "no daemon is a warning", "Mongrel2 is not running", "swapped specs", "ipc sockets of another user"],
    ["e2e/doctor", "wrong recv_ident", "wrong ident", "wrong port"],
    ["cli/doctor-command", "two wrong specs", "characters that make every response unreadable"],
  ],
  "Some browsers get no events, others do": [["e2e/doctor", "handler_targets lower than max_targets"]],
  "Some requests are answered, others wait": [
    [OWN, "another program on the same send_spec gets some of the requests"],
    ["fault/link", "a second daemon that is started by mistake yields", "two daemons with --shared both stay"],
  ],
  "404 instead of a stream": [
    ["e2e/stream", "what is not a GET of the stream is answered"],
    ["cli/doctor-command", "routes: a path that leads to another target, or to none", "default_host must name a Host"],
  ],
  "Streams end after about two minutes of quiet": [
    ["e2e/doctor", "keep-alives that are too rare"],
    ["e2e/stream", "streams outlive Mongrel2's idle limits"],
  ],
  "Events come in lumps, or only when the stream ends": [
    [OWN, "a proxy that buffers by default passes events on"],
    ["e2e/client-libraries", "passes events on at once to a client that accepts"],
  ],
  "Events are half a second late": [["e2e/doctor", "max_fd too low"]],
  "New browsers hang when many are connected": [
    ["e2e/doctor", "max_fd too low"],
    ["cli/doctor-command", "capacity for "],
  ],
  "The seventh tab does not load": [["e2e/tabs", "two tabs of the page of all events have one connection"]],
  "401, 403, 400 from the hub": [
    [
      "http/access",
      "a token is needed and none is shown: 401",
      "a good token that is not for this: 403",
      "without a publisher_key nobody publishes",
    ],
    ["http/publish-conditions", "in a cluster a condition is 501", "If-Match succeeds only while"],
    [
      "http/publish",
      "the token must grant each topic",
      "a request with Transfer-Encoding",
      "a body with a Content-Encoding is 415",
    ],
    [
      "http/publish",
      "a body of another type, or of none, is 415, and the response lists the types",
      "1,000 topics are taken",
    ],
  ],
  "503 or 429 instead of a stream": [
    ["e2e/stream", "beyond max_clients a client gets 503"],
    ["http/limits", "an address has its limit over all servers"],
    ["http/publish", "what cannot be stored is not acknowledged: 503"],
  ],
  "A page of another site cannot connect": [
    [
      "http/cors",
      "an origin that is named may read streams",
      "an origin that is not named",
      "'*' lets everybody read what is public",
    ],
  ],
  "A browser says that events are missing (`m2push-gap`)": [
    [
      "hub/hub",
      "an id that has expired is answered with a gap event",
      " is answered with a gap event, then live events",
    ],
    ["delivery/overload", "get a gap event, overload, when they fall behind"],
    ["http/presence", "a watcher without credit for the events is told of a gap"],
    ["delivery/history-reader", "is reported to the client after some reads, and the client goes on live"],
  ],
  "Published, and no client gets it": [
    [
      "ingress/ingress",
      "a private event reaches no one without the grant",
      "a flood of bad messages is one line a second",
    ],
    [
      "zmq/zmq-socket",
      "a publisher of libzmq that uses",
      "ZMTP 1 and 2 are named",
      "what peers leave unfinished is limited in sum",
    ],
    ["zmq/peer", "a thousand frames of no use in a row end a connection"],
    ["cli/publish-command", "where no daemon answers, the command fails and says where it looked"],
  ],
  "The log says `Mongrel2 unreachable`": [
    [
      "zmq/zmq-socket",
      "each error names the address, what happened and what to do",
      "a peer that is not there is told of once",
    ],
    ["zmq/zmq-socket", "attempts to connect come after 100 ms"],
  ],
  "The daemon does not start": [
    ["storage/folder-lock", "refuses a second holder, and names the first"],
    ["fault/damage", "a file with a damaged page is refused in words"],
    ["storage/lmdb/lmdb-history", "data of a newer version is refused"],
    ["zmq/zmq-socket", "a file that is no socket is never removed", "what cannot be bound is told with its cause"],
  ],
  "The daemon ends unexpectedly": [
    ["cli/fatal", "as fatal with its stack, and exits with 70"],
    ["storage/storage-failure", "is told, and not looked at any more: the process goes on"],
  ],
  "After a restart of the daemon, all browsers reconnected": [
    ["fault/link", "closes all streams after a cut without a control port", "reports after control_stop"],
    [
      "mongrel2/connection-adoption",
      "without proof nobody is adopted, ever",
      "without a control port everybody left behind is cancelled",
    ],
  ],
  "After a restart of the daemon, some connections wait and get nothing": [
    [
      "e2e/orphans",
      "is told of streams whose record is missing",
      "leaves no stream silent when the control port never answers",
    ],
  ],
  "Lines are missing in the log": [
    ["observability/log/logger", "a reader that does not read does not hold the program up"],
    ["observability/log/log-observer", "have at most one line a second, with the number of lines left out"],
  ],
  "m2sh and Mongrel2": [
    [
      OWN,
      "m2sh load exits with 0 for a file that it does not take",
      "a reload of Mongrel2 takes over no changed configuration",
    ],
    [OWN, "a connection that only fetched a file is a line in Mongrel2's error log"],
  ],
};

describe("docs/troubleshooting.md", () => {
  test("has an entry for each row of this table, and no other", () => {
    const headings = [...page("docs/troubleshooting.md").matchAll(/^## (.*)$/gm)].map(([, heading]) => heading);
    assert.deepEqual(headings, Object.keys(ENTRIES));
  });

  for (const [heading, shown] of Object.entries(ENTRIES)) {
    test(`is shown to be true by tests that are there: ${heading}`, () => {
      assert.ok(shown.length > 0);
      for (const [file, ...titles] of shown) {
        const text = readFileSync(join(PROJECT, `test/${file}.test.ts`), "utf8");
        assert.ok(titles.length > 0);
        for (const title of titles) assert.ok(text.includes(title), `${file}: ${title}`);
      }
    });
  }
});
