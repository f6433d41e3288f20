import assert from "node:assert/strict";
import { test } from "node:test";
import { faultsOf, load } from "./harness.js";

const FAULTS: [what: string, toml: string, fault: RegExp][] = [
  [
    "a wrong unit",
    "[stream]\nretry = '5 sec'",
    /^f\.toml:2: stream\.retry: expected a duration such as .*"5s".*, got "5 sec"$/,
  ],
  ["a number without unit", "[stream]\nretry = 5", /^f\.toml:2: stream\.retry: expected a duration .*, got 5$/],
  [
    "a duration of 0 that is not off",
    "[stream]\nkeepalive = 0",
    /^f\.toml:2: stream\.keepalive: .*from 10ms to 1d, got 0$/,
  ],
  ["a wrong type", "[auth]\nanonymous = 'yes'", /^f\.toml:2: auth\.anonymous: expected true or false, got "yes"$/],
  [
    "a value out of its range",
    "[stream]\nmax_clients = -1",
    /^f\.toml:2: stream\.max_clients: expected a whole number from 0 .*, got -1$/,
  ],
  [
    "a word that is none of the choices",
    "[history]\nstore = 'redis'",
    /^f\.toml:2: history\.store: expected one of "lmdb", "memory", got "redis"$/,
  ],
  [
    "an unknown key",
    "[stream]\nhartbeat = '5s'",
    /^f\.toml:2: stream\.hartbeat: expected a known key, .* nearest is stream\.heartbeat$/,
  ],
  [
    "a key of another table",
    "[stream]\nmax_events = 1",
    /^f\.toml:2: stream\.max_events: .* nearest is history\.max_events$/,
  ],
  ["a key outside its table", "heartbeat = '5s'", /^f\.toml:1: heartbeat: .* nearest is stream\.heartbeat$/],
  ["an unknown table", "[histroy]\npath = 'x'", /^f\.toml:1: histroy: .* nearest is \[history\]$/],
  ["an unknown array of tables", "[[mongrel]]", /^f\.toml:1: mongrel: .* nearest is \[\[mongrel2\]\]$/],
  [
    "an unknown key of a server",
    "[[mongrel2]]\nname = 'a'\nsend_specs = 1",
    /^f\.toml:3: mongrel2\.send_specs: .* nearest is mongrel2\.send_spec$/,
  ],
  [
    "a key with the name of a property of all objects",
    "[stream]\nconstructor = 1\n",
    /^f\.toml:2: stream\.constructor: expected a known key/,
  ],
  ["a table named __proto__", "[__proto__]\na = 1\n", /^f\.toml:1: __proto__: expected a known key/],
  ["a value in the place of a table", "stream = 5", /^f\.toml:1: stream: expected a table \[stream\], got 5$/],
  [
    "one table in the place of an array of tables",
    "[mongrel2]\nname = 'a'",
    /^f\.toml:1: mongrel2: expected one table \[\[mongrel2\]\] or more, got a table$/,
  ],
  ["an empty array of servers", "mongrel2 = []", /^f\.toml:1: mongrel2: expected one table .*, got an empty list$/],
  ["a server that is no table", "mongrel2 = [5]", /^f\.toml:1: mongrel2: expected a table, got 5$/],
  [
    "an ident that Mongrel2 cannot have",
    "[[mongrel2]]\nsend_ident = 'a b'",
    /^f\.toml:2: mongrel2\.send_ident: expected letters, digits and '-' only, got "a b"$/,
  ],
  [
    "a malformed address",
    "[[mongrel2]]\nsend_spec = '127.0.0.1:9999'",
    /^f\.toml:2: mongrel2\.send_spec: expected an address such as "tcp:.*, got "127\.0\.0\.1:9999"$/,
  ],
  [
    "an address to connect to without a host",
    "[[mongrel2]]\nsend_spec = 'tcp://*:9999'",
    /^f\.toml:2: mongrel2\.send_spec: expected a host to connect to/,
  ],
  [
    "one address for sending and receiving",
    "[[mongrel2]]\nsend_spec = 'tcp://a:1'\nrecv_spec = 'tcp://a:1'",
    /^f\.toml:3: mongrel2\.recv_spec: .*own, got "tcp:\/\/a:1", which is that of mongrel2\.send_spec \(f\.toml:2\)$/,
  ],
  [
    "two servers with one send_spec",
    "[[mongrel2]]\nsend_spec = 'tcp://a:1'\n[[mongrel2]]\nname = 'b'\nsend_spec = 'tcp://a:1'\nrecv_spec = 'tcp://a:2'",
    /^f\.toml:5: mongrel2\.send_spec: .*\(f\.toml:2\)$/,
  ],
  [
    "two names for one address",
    "[[mongrel2]]\nsend_spec = 'tcp://localhost:9998'",
    /^f\.toml:2: mongrel2\.send_spec: .* that of mongrel2\.recv_spec \(default\)$/,
  ],
  [
    "a publishers' address that a server has",
    "[publish]\nzmq = 'tcp://127.0.0.1:9999'",
    /^f\.toml:2: publish\.zmq: .*mongrel2\.send_spec \(default\)$/,
  ],
  [
    "an admin address that a server has",
    "[admin]\nlisten = '127.0.0.1:9998'",
    /^f\.toml:2: admin\.listen: expected an address of its own/,
  ],
  [
    "one path for two routes",
    "[hub]\npath = '/esupdates'",
    /^f\.toml:2: hub\.path: expected a path of its own, got "\/esupdates", which is that of stream\.path \(default\)$/,
  ],
  [
    "a bad entry of a list",
    "[cluster]\nnats = ['nats://a', 'b']",
    /^f\.toml:2: cluster\.nats: expected a list of NATS .*, got "b" in entry 2$/,
  ],
  ["a syntax error", "[stream]\nretry = 5s\n", /^f\.toml:2: expected TOML, got a syntax error in column \d+: ./],
  [
    "a whole number that no number can hold",
    "[stream]\nmax_clients = 99999999999999999999",
    /^f\.toml:2: expected TOML, got a syntax error/,
  ],
];

for (const [what, toml, fault] of FAULTS) {
  test(`${what} is a fault that says where and what was expected`, () => {
    const faults = faultsOf(() => load(toml));
    assert.equal(faults.length, 1, faults.join("\n"));
    assert.match(String(faults[0]), fault);
  });
}

test("two servers with one name are told apart by the lines of the fault", () => {
  const second = "send_spec = 'tcp://b:1'\nrecv_spec = 'tcp://b:2'\n";
  assert.deepEqual(
    faultsOf(() => load(`[[mongrel2]]\nname = 'x'\n[[mongrel2]]\nname = 'x'\n${second}`)),
    ['f.toml:4: mongrel2.name: expected a name of its own, got "x", which is that of mongrel2.name (f.toml:2)'],
  );
  assert.deepEqual(
    faultsOf(() => load(`[[mongrel2]]\n[[mongrel2]]\n${second}`)),
    ['f.toml:2: mongrel2.name: expected a name of its own, got "main", which is that of mongrel2.name (default)'],
  );
});

test("what is off clashes with nothing, and a free port neither", () => {
  assert.deepEqual(
    faultsOf(() => load("[publish]\nzmq = ''\n[admin]\nlisten = ''")),
    [],
  );
  assert.deepEqual(
    faultsOf(() => load("[[mongrel2]]\nsend_spec = 'tcp://127.0.0.1:6780'\n[admin]\nlisten = '127.0.0.1:0'")),
    [],
  );
});

test("sockets that are bound may be bound on all interfaces", () => {
  assert.deepEqual(
    faultsOf(() => load("[[mongrel2]]\nbind = true\nsend_spec = 'tcp://*:9999'\n[publish]\nzmq = 'tcp://*:9997'")),
    [],
  );
});
