/** Error texts of the commands. Tests take them from here. */
export const errorTexts = {
  noData:
    'no data; fix: pass the data as an argument ("" for an empty event), or - to publish each line of standard input',
  idOfMany: "--id is for a single event, but - publishes many; fix: leave --id out",
  tokenWithoutUrl: "--token needs --url: ZeroMQ has no tokens",
  zmqOff: '[publish] zmq is ""; fix: pass --zmq ADDRESS or --url URL',
  purgeTarget: "purge needs one of --topic, --id and --before",
  purgeTime: '--before must be a time such as "2026-12-01T12:00:00Z", or an age such as "24h"',
  purgeToken: "--token needs --url",
  purgeOptions: "--topic, --id, --before, --url and --token are options of purge",
  loadZmqOff: '[publish] zmq is ""; fix: pass --zmq ADDRESS, --publish-url URL, or --events 0 to only listen',
  loadForeign: (hosts: string, clients: number, events: number) =>
    `${hosts} is not this machine: this opens ${clients} connections and publishes ${events} events a second there; fix: add --yes if that installation is yours`,
  tokenCharacters: "the access token has characters that no token has; fix: pass the JWT alone",
  sinceTime: 'Expected a time such as "2026-12-01T12:00:00Z", or a duration such as "10m".',
  backupFolder: (action: string) => `${action} needs a folder; fix: m2push history ${action} FOLDER`,
  backupCluster:
    "the history of a cluster is a JetStream stream; fix: use `nats stream backup`, or `m2push history export`, which disturbs no daemon",
  damagedBackup: (damage: string) => `${damage}, and their events are missing; all others are there`,
  nothingStored: 'no events are stored: [history] store is "memory" and [cluster] nats is empty',
  keptLeftOut: (events: string) => `${events} that [[topic]] keep = "last" had kept left out: a stream keeps none`,
  incompleteExport: (lost: string) => `${lost}; all other events were exported`,
} as const;
