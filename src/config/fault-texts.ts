/** The texts of errors in a configuration, after "file:line: key: ". Tests take them from here. */

export const faultTexts = {
  expected: (expected: string, got: string) => `expected ${expected}, got ${got}`,
  hiddenValue: "a value that is not shown",
  unknownKey: (nearest: string) => `unknown key; the nearest known key is ${nearest}`,
  unknownVariable: (nearest: string) => `unknown variable; the nearest known variable is ${nearest}`,
  listVariable: (path: string) => `${path} is a list, which only the configuration file can set`,
  serverVariable: "[[mongrel2]] can only be set in the configuration file",
  unreadableFile: (reason: string) => `cannot read this file: ${reason}`,
  syntaxError: (column: number, reason: string) => `TOML syntax error in column ${column}: ${reason}`,
  duplicate: (expected: string, value: string, other: string) =>
    `expected ${expected}, got "${value}", which ${other} uses too`,
  incompleteCurve: "expected both curve_server_secret_key and curve_client_public_key, or neither, got one of them",
  curveWithoutBind: "expected bind = true, for a ZeroMQ proxy beside Mongrel2, got bind = false: Mongrel2 has no CURVE",
  nativeCurve: 'expected "auto" or "libzmq" beside CURVE keys, got "native": native sockets have no CURVE',
  notOneSelector: (given: readonly string[]) =>
    `expected exactly one of topic, template and pattern, got ${given.length === 0 ? "none" : given.join(" and ")}`,
  tooManyTopics: (most: number) => `expected at most ${most} tables [[topic]], got more`,
  tooManyIssuers: (most: number) => `expected at most ${most} tables [[issuer]], got more`,
  noIssuer: 'expected an issuer identifier such as "https://login.example", got none',
  tooManyWebhooks: (most: number) => `expected at most ${most} tables [[webhook]], got more`,
  noWebhookUrl: 'expected a URL such as "https://example.com/clients", got none',
  noWebhookSecret: "expected a secret, as `m2push keygen webhook` prints it, got none",
  notOneKeySource: "expected exactly one of keys and jwks_url, got both or neither",
  keepInCluster: 'expected "none" beside [cluster] nats, got "last": JetStream cannot keep single events longer',
  badSelector: (expected: string, got: string, reason: string) => `expected ${expected}, got "${got}": ${reason}`,
  notConnectable: (value: string) => `expected a host to connect to, as in "tcp://127.0.0.1:9999", got "${value}"`,
} as const;
