import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { MAX_TOPIC_TABLE_COUNT } from "../../src/config/cross-checks.js";
import { faultTexts } from "../../src/config/fault-texts.js";
import { jwksUrlType } from "../../src/config/network-types.js";
import { sections, tableArrays } from "../../src/config/schema.js";
import { faultsOf, load } from "./harness.js";

/** The fault of a value that is not of its key's type. `path`: "stream.retry", "mongrel2.name". */
function invalid(path: string, got: string): string {
  const [section = "", name = ""] = path.split(".");
  const arrays: typeof sections = tableArrays;
  const key = (arrays[section] ?? sections[section])?.[name] ?? assert.fail(path);
  return `${path}: ${faultTexts.expected(key.type.expected, got)}`;
}

const unknown = (path: string, nearest: string): string => `${path}: ${faultTexts.unknownKey(nearest)}`;

const CASES: [what: string, toml: string, line: number, fault: string][] = [
  ["a wrong unit", "[stream]\nretry = '5 sec'", 2, invalid("stream.retry", '"5 sec"')],
  ["a number without unit", "[stream]\nretry = 5", 2, invalid("stream.retry", "5")],
  ["a duration of 0 that is not off", "[stream]\nkeepalive = 0", 2, invalid("stream.keepalive", "0")],
  ["a wrong type", "[auth]\nanonymous = 'yes'", 2, invalid("auth.anonymous", '"yes"')],
  ["a value out of its range", "[stream]\nmax_clients = -1", 2, invalid("stream.max_clients", "-1")],
  ["a word that is not among the choices", "[history]\nstore = 'redis'", 2, invalid("history.store", '"redis"')],
  ["an unknown key", "[stream]\nhartbeat = '5s'", 2, unknown("stream.hartbeat", "stream.heartbeat")],
  ["a key of another table", "[stream]\nmax_events = 1", 2, unknown("stream.max_events", "history.max_events")],
  ["a key outside its table", "heartbeat = '5s'", 1, unknown("heartbeat", "stream.heartbeat")],
  ["an unknown table", "[histroy]\npath = 'x'", 1, unknown("histroy", "[history]")],
  ["an unknown array of tables", "[[mongrel]]", 1, unknown("mongrel", "[[mongrel2]]")],
  [
    "an unknown key of a server",
    "[[mongrel2]]\nname = 'a'\nsend_specs = 1",
    3,
    unknown("mongrel2.send_specs", "mongrel2.send_spec"),
  ],
  [
    "a key with the name of a property of all objects",
    "[stream]\nconstructor = 1\n",
    2,
    unknown("stream.constructor", "mongrel2.control"),
  ],
  ["a table named __proto__", "[__proto__]\na = 1\n", 1, unknown("__proto__", "[[webhook]]")],
  ["a value in place of a table", "stream = 5", 1, `stream: ${faultTexts.expected("a table [stream]", "5")}`],
  [
    "one table in place of an array of tables",
    "[mongrel2]\nname = 'a'",
    1,
    `mongrel2: ${faultTexts.expected("one or more tables [[mongrel2]]", "a table")}`,
  ],
  [
    "an empty array of servers",
    "mongrel2 = []",
    1,
    `mongrel2: ${faultTexts.expected("one or more tables [[mongrel2]]", "an empty list")}`,
  ],
  ["a server that is not a table", "mongrel2 = [5]", 1, `mongrel2: ${faultTexts.expected("a table", "5")}`],
  [
    "an ident that Mongrel2 cannot have",
    "[[mongrel2]]\nsend_ident = 'a b'",
    2,
    invalid("mongrel2.send_ident", '"a b"'),
  ],
  [
    "a malformed address",
    "[[mongrel2]]\nsend_spec = '127.0.0.1:9999'",
    2,
    invalid("mongrel2.send_spec", '"127.0.0.1:9999"'),
  ],
  [
    "an address to connect to without a host",
    "[[mongrel2]]\nsend_spec = 'tcp://*:9999'",
    2,
    `mongrel2.send_spec: ${faultTexts.notConnectable("tcp://*:9999")}`,
  ],
  [
    "one address for sending and receiving",
    "[[mongrel2]]\nsend_spec = 'tcp://a:1'\nrecv_spec = 'tcp://a:1'",
    3,
    `mongrel2.recv_spec: ${faultTexts.duplicate("a unique address", "tcp://a:1", "mongrel2.send_spec (f.toml:2)")}`,
  ],
  [
    "two servers with one send_spec",
    "[[mongrel2]]\nsend_spec = 'tcp://a:1'\n[[mongrel2]]\nname = 'b'\nsend_spec = 'tcp://a:1'\nrecv_spec = 'tcp://a:2'",
    5,
    `mongrel2.send_spec: ${faultTexts.duplicate("a unique address", "tcp://a:1", "mongrel2.send_spec (f.toml:2)")}`,
  ],
  [
    "two names of one address",
    "[[mongrel2]]\nsend_spec = 'tcp://localhost:9998'",
    2,
    `mongrel2.send_spec: ${faultTexts.duplicate("a unique address", "tcp://localhost:9998", "mongrel2.recv_spec (default)")}`,
  ],
  [
    "an address for publishers that a server uses",
    "[publish]\nzmq = 'tcp://127.0.0.1:9999'",
    2,
    `publish.zmq: ${faultTexts.duplicate("a unique address", "tcp://127.0.0.1:9999", "mongrel2.send_spec (default)")}`,
  ],
  [
    "an admin address that a server uses",
    "[admin]\nlisten = '127.0.0.1:9998'",
    2,
    `admin.listen: ${faultTexts.duplicate("a unique address", "tcp://127.0.0.1:9998", "mongrel2.recv_spec (default)")}`,
  ],
  [
    "one path for two routes",
    "[hub]\npath = '/esupdates'",
    2,
    `hub.path: ${faultTexts.duplicate("a unique path", "/esupdates", "stream.path (default)")}`,
  ],
  ["a topic table without a selector", "[[topic]]\nttl = '1m'", 1, `topic: ${faultTexts.notOneSelector([])}`],
  [
    "a topic table with two selectors",
    "[[topic]]\ntopic = 'a'\n[[topic]]\ntopic = 'b'\npattern = '/c/*'",
    5,
    `topic: ${faultTexts.notOneSelector(["topic", "pattern"])}`,
  ],
  ["an issuer table without its issuer", "[[issuer]]\nkeys = 'k'", 1, `issuer.issuer: ${faultTexts.noIssuer}`],
  ["an issuer table without keys", "[[issuer]]\nissuer = 'a'", 1, `issuer: ${faultTexts.notOneKeySource}`],
  [
    "an issuer table with two sources of keys",
    "[[issuer]]\nissuer = 'a'\nkeys = 'k'\njwks_url = 'https://a.example/'",
    4,
    `issuer: ${faultTexts.notOneKeySource}`,
  ],
  [
    "one issuer in two tables",
    "[[issuer]]\nissuer = 'a'\nkeys = 'k'\n[[issuer]]\nissuer = 'a'\nkeys = 'k'",
    5,
    `issuer.issuer: ${faultTexts.duplicate("a unique issuer", "a", "issuer.issuer (f.toml:2)")}`,
  ],
  [
    "keys at a URL without TLS",
    "[[issuer]]\nissuer = 'a'\njwks_url = 'http://a.example/'",
    3,
    `issuer.jwks_url: ${faultTexts.expected(jwksUrlType.expected, '"http://a.example/"')}`,
  ],
  ["a wrong value of a topic", "[[topic]]\ntopic = 'a'\nkeep = 'first'", 3, invalid("topic.keep", '"first"')],
  [
    "a control character in a topic",
    "[[topic]]\ntopic = 'a'\n[[topic]]\ntopic = \"\\n\"",
    4,
    invalid("topic.topic", '"\\n"'),
  ],
  [
    "an unknown key of a topic",
    "[[topic]]\ntopic = 'a'\nmax_event = 1",
    3,
    unknown("topic.max_event", "topic.max_events"),
  ],
  [
    "one table in place of an array of topics",
    "[topic]\ntopic = 'a'",
    1,
    `topic: ${faultTexts.expected("one or more tables [[topic]]", "a table")}`,
  ],
  [
    "an event that is kept in a cluster",
    "[[topic]]\ntopic = 'a'\nkeep = 'last'\n[cluster]\nnats = ['nats://h']",
    3,
    `topic.keep: ${faultTexts.keepInCluster}`,
  ],
  [
    "too many topic tables",
    "[[topic]]\ntopic = 'a'\n".repeat(MAX_TOPIC_TABLE_COUNT + 1),
    2 * MAX_TOPIC_TABLE_COUNT + 1,
    `topic: ${faultTexts.tooManyTopics(MAX_TOPIC_TABLE_COUNT)}`,
  ],
  ["a bad entry of a list", "[cluster]\nnats = ['nats://a', 'b']", 2, invalid("cluster.nats", '"b" in entry 2')],
  ["a duplicate entry of a list", "[hub]\nhosts = ['a', 'b', 'a']", 2, invalid("hub.hosts", 'a second "a" in entry 3')],
];

const SYNTAX: [what: string, toml: string][] = [
  ["a syntax error", "[stream]\nretry = 5s\n"],
  ["an integer beyond 64 bits", "[stream]\nmax_clients = 99999999999999999999"],
];

describe("Configuration errors", () => {
  for (const [what, toml, line, fault] of CASES) {
    test(`name the line, the key and the expected value: ${what}`, () => {
      assert.deepEqual(
        faultsOf(() => load(toml)),
        [`f.toml:${line}: ${fault}`],
      );
    });
  }

  for (const [what, toml] of SYNTAX) {
    test(`name the line and the column of ${what}`, () => {
      const [fault = "", ...more] = faultsOf(() => load(toml));
      const [, column = "", reason = ""] = /column (\d+): (.+)$/.exec(fault) ?? [];
      assert.equal(fault, `f.toml:2: ${faultTexts.syntaxError(Number(column), reason)}`);
      assert.deepEqual(more, []);
    });
  }

  test("distinguish two servers of one name by their lines", () => {
    const second = "send_spec = 'tcp://b:1'\nrecv_spec = 'tcp://b:2'\n";
    const duplicate = (name: string, other: string) =>
      `mongrel2.name: ${faultTexts.duplicate("a unique name", name, `mongrel2.name (${other})`)}`;
    assert.deepEqual(
      faultsOf(() => load(`[[mongrel2]]\nname = 'x'\n[[mongrel2]]\nname = 'x'\n${second}`)),
      [`f.toml:4: ${duplicate("x", "f.toml:2")}`],
    );
    assert.deepEqual(
      faultsOf(() => load(`[[mongrel2]]\n[[mongrel2]]\n${second}`)),
      [`f.toml:2: ${duplicate("main", "default")}`],
    );
  });

  test("ignore an address that is off, and a port that the system chooses", () => {
    assert.deepEqual(
      faultsOf(() => load("[publish]\nzmq = ''\n[admin]\nlisten = ''")),
      [],
    );
    assert.deepEqual(
      faultsOf(() => load("[[mongrel2]]\nsend_spec = 'tcp://127.0.0.1:6780'\n[admin]\nlisten = '127.0.0.1:0'")),
      [],
    );
  });

  test("accept sockets bound on all interfaces", () => {
    assert.deepEqual(
      faultsOf(() => load("[[mongrel2]]\nbind = true\nsend_spec = 'tcp://*:9999'\n[publish]\nzmq = 'tcp://*:9997'")),
      [],
    );
  });
});
